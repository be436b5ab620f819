"""Configuration of the regressors."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nbf_core.config import Config


class LossWeights(Config):
    """Weights and forms of the supervised terms (PARE, section 4).

    The published ones are these weights with ``total`` 60, ``parts`` 1, ``background`` 1, ``targets`` annotations
    and ``huber`` 0. ``targets`` says where 2D keypoints come from if a sample has both: all joints of the ``body``,
    hidden ones too, or the ``annotations``, weighted by their confidence. ``huber`` is the error, in half sides
    of the crop, beyond which 2D keypoints count linearly (weak cameras start far off); 0 for squares throughout.
    """

    keypoints_3d: float = 5.0
    keypoints_2d: float = 2.5
    rotations: float = 1.0
    shape: float = 0.001
    camera_prior: float = 1.0
    parts: float = 2.0
    background: float = 0.1  # of the part loss: most pixels are background, and would drown the parts
    total: float = 1.0
    targets: Literal["body", "annotations"] = "body"
    huber: float = Field(0.1, ge=0)


class PareCokeConfig(Config):
    """A backbone, a decoder to ``map_size``, a part-guided head.

    The defaults are a small network for small training budgets. The published networks are ``backbone`` resnet50 with
    ``decoder`` unet, or hrnet-w32 with join, and ``head`` pare; ``image_size`` 320, ``map_size`` 80, ``channels`` 128,
    ``width`` 256. Any backbone goes with any decoder and head.

    ``backbone`` blazepose takes images of 256 px (its finest map has stride 4).

    ``weights`` names trained weights for fitting; ``pretrained`` starts training from free weights where the backbone
    has some: of ImageNet for efficientnet-lite0, of people for blazepose (from ``nbf-detect-blazepose``). ``frozen``
    holds the backbone's first stages (of 5) as they were pretrained; ``frozen_norm`` keeps every batch normalisation
    in evaluation mode while training, as 3DNBF did.
    """

    backbone: Literal["plain", "efficientnet-lite0", "resnet50", "hrnet-w32", "blazepose"] = "efficientnet-lite0"
    decoder: Literal["shuffle", "unet", "join"] = "shuffle"
    head: Literal["part-guided", "pare"] = "part-guided"
    weights: str | None = None
    pretrained: bool = False
    frozen: int = Field(0, ge=0, le=5)
    frozen_norm: bool = False
    image_size: int = Field(128, ge=64, multiple_of=32)
    map_size: int = Field(64, ge=16)
    channels: int = Field(64, ge=8, description="of the feature map")
    width: int = Field(128, ge=16, description="channels of the decoder at a quarter of the image's size")
    hidden: int = Field(768, ge=32, description="width of the head's layers (part-guided)")
    loss: LossWeights = LossWeights()

    @model_validator(mode="after")
    def _large_enough(self) -> PareCokeConfig:
        if self.backbone == "blazepose" and self.image_size < 128:
            raise ValueError(f"image_size: blazepose needs at least 128, got {self.image_size}")
        return self
