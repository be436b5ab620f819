"""What every nbf package shares: contracts, records, plugins, configuration, geometry and conventions."""

__version__ = "0.1.0"
