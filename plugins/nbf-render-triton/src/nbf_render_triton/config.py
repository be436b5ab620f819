"""Options of the Triton renderer. Imports no torch."""

from nbf_renderers.config import GaussianConfig


class TritonConfig(GaussianConfig):
    """The same options as the plain renderer's, so that one can stand in for the other."""
