"""Options of the renderers. Imports no torch."""

from __future__ import annotations

import math

from pydantic import Field

from nbf_core.config import Config

# Keeps the cutoff finite at threshold 0, as in the published renderer (VoGE): the cutoff is then 23.03.
_THRESHOLD_FLOOR = 1e-10


class GaussianConfig(Config):
    """Options of the Gaussian volume renderer."""

    max_kernels: int = Field(10, ge=1, description="how many kernels a pixel keeps, nearest first")
    threshold: float = Field(
        1e-4,
        ge=0.0,
        lt=1.0,
        description="a kernel counts in a pixel where its peak density along the ray exceeds this; the "
        "published 0 admits densities down to 1e-10 and costs half as much time again",
    )
    absorptivity: float = Field(1.0, ge=0.0, description="how strongly density in front hides what is behind")

    @property
    def cutoff(self) -> float:
        """The activation, minus the logarithm of the peak density, below which a kernel counts."""
        return cutoff_of(self.threshold)


def cutoff_of(threshold: float) -> float:
    """The largest activation that a density ``threshold`` admits."""
    return -math.log(threshold + _THRESHOLD_FLOOR)
