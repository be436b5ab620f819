"""The network of ``pare-coke``: backbone, decoder, head."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nbf_core.errors import ConfigError, ShapeError
from nbf_core.types import RegressorOutput
from nbf_regressors.backbones import BACKBONES, PRETRAINED
from nbf_regressors.backbones.blazepose import FoldedConv, fold
from nbf_regressors.config import PareCokeConfig
from nbf_regressors.decoders import DECODERS
from nbf_regressors.heads import PareHead, PartGuidedHead


class PareCokeNetwork(nn.Module):
    """Backbone, decoder, part-guided head, and a linear map to ``channels`` features per pixel."""

    def __init__(self, config: PareCokeConfig, joints: int, shapes: int) -> None:
        super().__init__()
        self.config = config
        self.channels, self.image_size, self.map_size = config.channels, config.image_size, config.map_size
        self.backbone = BACKBONES[config.backbone](config.frozen)
        self.decoder = DECODERS[config.decoder](
            self.backbone.channels, config.width, _level(config, self.backbone.finest)
        )
        fine, parts, pooled = self.decoder.widths
        self.to_features = nn.Conv2d(fine, config.channels, 1, bias=config.decoder == "shuffle")
        self.to_parts = nn.Conv2d(parts, joints + 1, 1)
        if config.head == "pare":
            self.head: nn.Module = PareHead(joints, shapes, pooled)
        else:
            self.head = PartGuidedHead(joints, shapes, pooled, self.backbone.channels[-1], config.hidden)
        if config.pretrained:
            if config.backbone not in PRETRAINED:
                raise ConfigError(f"regressor.pretrained: there are no free weights for {config.backbone!r}")
            PRETRAINED[config.backbone](self.backbone)
        self.to(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> PareCokeNetwork:
        """As in torch; with ``frozen_norm`` batch normalisations stay in evaluation mode."""
        super().train(mode)
        if self.config.frozen_norm:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def deployed(self) -> dict[str, Tensor]:
        """See ``nbf_core.contracts.Deployable``: what BlazePose's batch normalisations do, its convolutions do."""
        tensors = self.state_dict()
        for name, module in self.named_modules():
            if isinstance(module, FoldedConv):
                fold(tensors, f"{name}.")
        return tensors

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> RegressorOutput:
        """See the contract. Raises ShapeError where the images have another size."""
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, self.image_size, self.image_size):
            size = self.image_size
            raise ShapeError(f"images: expected [b, 3, {size}, {size}], got {tuple(images.shape)}")
        maps = self.backbone(images)
        decoded = self.decoder(maps)
        parts = self.to_parts(decoded.parts)
        with torch.autocast(images.device.type, enabled=False):
            rotations, betas, camera = self.head(parts.float(), decoded.pooled.float(), maps[-1].float())
        return RegressorOutput(rotations, betas, camera, self.to_features(decoded.features), parts)


def _level(config: PareCokeConfig, finest: int) -> int:
    """Which of the backbone's maps, whose first has stride ``finest``, is as large as the feature map.

    Raises ConfigError where the decoder cannot give a map of that size.
    """
    stride = config.image_size / config.map_size
    known = (finest, 2 * finest) if config.decoder == "shuffle" else (2 * finest,)
    if stride not in known:
        wanted = " or ".join(map(str, known))
        given = f"for {config.backbone!r} with the decoder {config.decoder!r}, got {stride:g}"
        raise ConfigError(f"regressor.map_size: image_size / map_size must be {wanted} {given}")
    return int(stride) // finest - 1
