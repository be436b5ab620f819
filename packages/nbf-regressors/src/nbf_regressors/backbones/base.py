"""What all backbones share."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of ImageNet's RGB values."""


def depthwise_precision(x: Tensor) -> AbstractContextManager[object]:
    """No mixed precision on a CPU: the gradients of depthwise convolutions are slow in bfloat16 there.

    One thread, EfficientNet-Lite0: 27 pictures a second against 62. Stages that are not trained need no gradients and
    run in what the caller chose.
    """
    return torch.autocast("cpu", enabled=False) if x.device.type == "cpu" else nullcontext()


class Backbone(nn.Module):
    """``stages`` run one after another; each one's output is a feature map, ``channels`` its widths.

    The maps have strides 2 (``finest``), 4, 8, 16 and 32. Images are in [0, 1] and are normalised by ``mean`` and
    ``std``, of one value or of three. The first ``frozen`` stages are not trained and stay in evaluation mode.
    """

    finest = 2

    def __init__(
        self,
        stages: list[nn.Module],
        channels: tuple[int, ...],
        frozen: int = 0,
        mean: tuple[float, ...] = (0.5,),
        std: tuple[float, ...] = (0.25,),
        depthwise: bool = False,
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.channels = channels
        self.frozen = frozen
        self.depthwise = depthwise
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)
        for stage in stages[:frozen]:
            stage.requires_grad_(False)

    def train(self, mode: bool = True) -> Backbone:
        """As in torch; frozen stages stay in evaluation mode."""
        super().train(mode)
        for stage in self.stages[: self.frozen]:
            stage.eval()
        return self

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        x = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        maps = []
        for stage in self.stages[: self.frozen]:
            x = stage(x)
            maps.append(x)
        with depthwise_precision(x) if self.depthwise else nullcontext():
            x = x.float() if self.depthwise else x
            for stage in self.stages[self.frozen :]:
                x = stage(x)
                maps.append(x)
        return maps
