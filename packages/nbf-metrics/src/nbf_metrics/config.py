"""Configurations of the metrics. Imports no torch."""

from __future__ import annotations

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


class PckhConfig(Config):
    """Share of 2D points within ``share`` of the head segment, which joins the points ``head`` of the set.

    The default is (neck, head top) in the order of the 14 LSP joints.
    """

    share: float = Field(0.5, gt=0)
    head: tuple[int, int] = (12, 13)
