"""``pare-coke``: one network for the first estimate and for the feature map (3DNBF, section 3.3 and 3.4)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nbf_core.contracts import BodyModel
from nbf_core.errors import ConfigError, ShapeError
from nbf_core.types import BodySpec, RegressorOutput, Sample
from nbf_regressors.backbones import BACKBONES, load_imagenet_lite0
from nbf_regressors.config import PareCokeConfig
from nbf_regressors.decoder import Decoder
from nbf_regressors.head import PartGuidedHead
from nbf_regressors.losses import supervised_losses


class PareCoke(nn.Module):
    """Backbone, decoder, part-guided head, and a linear map to ``channels`` features per pixel."""

    def __init__(self, config: PareCokeConfig, spec: BodySpec) -> None:
        super().__init__()
        stride = config.image_size / config.map_size
        if stride not in (2, 4):
            raise ConfigError(f"regressor.map_size: image_size / map_size must be 2 or 4, got {stride:g}")
        self.config = config
        self.channels, self.image_size, self.map_size = config.channels, config.image_size, config.map_size
        joints = len(spec.joint_names)
        self.backbone = BACKBONES[config.backbone](config.frozen)
        fine = 64
        self.decoder = Decoder(self.backbone.channels, config.width, fine, int(stride))
        self.to_features = nn.Conv2d(fine, config.channels, 1)
        self.to_parts = nn.Conv2d(fine, joints + 1, 1)
        self.head = PartGuidedHead(joints, spec.shapes, config.width, self.backbone.channels[-1], config.hidden)
        if config.pretrained:
            if config.backbone != "efficientnet-lite0":
                raise ConfigError(f"regressor.pretrained: there are no ImageNet weights for {config.backbone!r}")
            load_imagenet_lite0(self.backbone)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> RegressorOutput:
        """See the contract. Raises ShapeError where the images have another size."""
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, self.image_size, self.image_size):
            size = self.image_size
            raise ShapeError(f"images: expected [b, 3, {size}, {size}], got {tuple(images.shape)}")
        # Depthwise convolutions are slower in bfloat16 than in float32 on a CPU (27 against 62 pictures a second).
        keep = self.config.backbone == "efficientnet-lite0" and images.device.type == "cpu"
        with torch.autocast("cpu", enabled=torch.is_autocast_enabled("cpu") and not keep):
            maps = self.backbone(images)
        fine, quarter = self.decoder(maps)
        parts = self.to_parts(fine)
        with torch.autocast(images.device.type, enabled=False):
            rotations, betas, camera = self.head(parts.float(), quarter.float(), maps[-1].float())
        return RegressorOutput(rotations, betas, camera, self.to_features(fine), parts)

    def loss(self, output: RegressorOutput, sample: Sample, body: BodyModel) -> dict[str, Float[Tensor, ""]]:
        """See the contract; the terms are described in ``nbf_regressors.losses``."""
        return supervised_losses(output, sample, body, self.config.loss)
