"""Options of the mesh renderer. Imports no torch."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from nbf_core.config import Config


class PyTorch3DConfig(Config):
    """Options of the mesh renderer. Distances in the picture are in pixels, depths in metres."""

    form: Literal["hard", "soft"] = Field(
        "hard", description="hard: the nearest face alone; soft: faces blended over distance and depth (SoftRas)"
    )
    sigma: float = Field(
        0.1,
        gt=0.0,
        description="soft: a face covers a pixel with probability sigmoid(-d |d| / sigma) at the distance d "
        "(pixels, negative inside) from its rim",
    )
    gamma: float = Field(0.01, gt=0.0, description="soft: a face so much nearer (metres) weighs e times as much")
    threshold: float = Field(1e-4, gt=0.0, lt=0.5, description="soft: a face counts where its probability exceeds this")
    faces_per_pixel: int = Field(32, ge=1, le=100, description="soft: how many faces a pixel blends, nearest first")
    max_kernels: int | None = Field(
        None, ge=1, description="how many corners of faces a pixel keeps, nearest first; by default all"
    )
    z_clip: float = Field(0.05, gt=0.0, description="a face with a corner at or below this depth (m) is not drawn")
    cull: bool = Field(False, description="leave out faces seen from behind")

    @property
    def blur_radius(self) -> float:
        """The squared distance (pixels) from a face at which its probability has fallen to ``threshold``."""
        return self.sigma * math.log(1.0 / self.threshold - 1.0) if self.form == "soft" else 0.0

    @property
    def blended(self) -> int:
        """How many faces a pixel is made of."""
        return self.faces_per_pixel if self.form == "soft" else 1
