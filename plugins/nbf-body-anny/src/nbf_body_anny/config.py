"""Configuration of the free body. Imports no torch."""

from __future__ import annotations

from pydantic import Field

from nbf_core.config import Config


class AnnyConfig(Config):
    """The body has no choices but the width of its kernels.

    ``kernel_precision`` is the inverse variance in 1/m^2; the default suits the spacing of the kernels
    (see the package's README).
    """

    kernel_precision: float = Field(default=4000.0, gt=0)
