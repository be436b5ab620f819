"""The ``nbf-run`` command. Importing this imports no torch."""

from nbf_run.cli.main import main

__all__ = ["main"]
