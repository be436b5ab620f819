"""Configurations of the metrics. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nbf_core.config import Config


class MpjpeConfig(Config):
    """Mean per joint position error: nothing to choose."""


class PaMpjpeConfig(Config):
    """MPJPE after similarity alignment: nothing to choose."""


class PveConfig(Config):
    """Per vertex error: nothing to choose."""


class Pck3dConfig(Config):
    """Share of joints nearer than ``threshold`` millimetres."""

    threshold: float = Field(150.0, gt=0)


class Auc3dConfig(Config):
    """Mean of 3DPCK over ``steps`` thresholds from 0 to ``limit`` millimetres, both ends included."""

    limit: float = Field(150.0, gt=0)
    steps: int = Field(31, ge=2)


class PaPck3dConfig(Pck3dConfig):
    """``align_on``: the joints that the prediction is aligned on, "visible" ones or "all" (published)."""

    align_on: Literal["visible", "all"] = "visible"


class PaAuc3dConfig(Auc3dConfig):
    """``align_on``: the joints that the prediction is aligned on, "visible" ones or "all" (published)."""

    align_on: Literal["visible", "all"] = "visible"


class AccelerationConfig(Config):
    """Acceleration error: nothing to choose."""


class OcclusionIouConfig(Config):
    """Occlusion IoU: a pixel counts as hidden where its value is over ``threshold``."""

    threshold: float = Field(0.5, ge=0, lt=1)


class PckhConfig(Config):
    """Share of 2D points within ``share`` of the head segment, which joins the points ``head`` of the set.

    The default is (neck, head top) in the order of the 14 LSP joints.
    """

    share: float = Field(0.5, gt=0)
    head: tuple[int, int] = (12, 13)
