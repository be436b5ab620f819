"""Configuration of the regressors."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nbf_core.config import Config


class LossWeights(Config):
    """Weights of the supervised terms (PARE, section 4): the published ones, times 60, beside a part loss."""

    keypoints_3d: float = 5.0
    keypoints_2d: float = 2.5
    rotations: float = 1.0
    shape: float = 0.001
    camera_prior: float = 1.0
    parts: float = 2.0
    background: float = 0.1  # of the part loss: most pixels are background, and would drown the parts
    total: float = 1.0


class PareCokeConfig(Config):
    """A backbone, a decoder to ``map_size``, a part-guided head.

    ``weights`` names trained weights for fitting; ``pretrained`` starts training from ImageNet features where
    the backbone has them. ``frozen`` holds the backbone's first stages (0 to 3) as they were pretrained.
    """

    backbone: Literal["plain", "efficientnet-lite0"] = "efficientnet-lite0"
    weights: str | None = None
    pretrained: bool = False
    frozen: int = Field(0, ge=0, le=3)
    image_size: int = Field(128, ge=64, multiple_of=32)
    map_size: int = Field(64, ge=16)
    channels: int = Field(64, ge=8, description="of the feature map")
    width: int = Field(128, ge=16, description="channels of the decoder at a quarter of the image's size")
    hidden: int = Field(768, ge=32, description="width of the head's layers")
    loss: LossWeights = LossWeights()
