"""HRNet-W32 (Wang et al., "Deep high-resolution representation learning", TPAMI 2020)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nbf_regressors.backbones.base import IMAGENET, Backbone
from nbf_regressors.layers import Bottleneck, ConvNorm, Residual, repeat

_WIDTHS = (32, 64, 128, 256)  # of the branches at strides 4, 8, 16 and 32
_UNITS = (1, 4, 3)  # exchange units of the stages with 2, 3 and 4 branches


class ExchangeUnit(nn.Module):
    """Four residual blocks in every branch; then every branch becomes the sum of all, brought to its resolution."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(repeat(Residual, w, w, w, 4, 1) for w in widths)
        self.fuse = nn.ModuleList(
            nn.ModuleList(_bring(widths, j, i) for j in range(len(widths))) for i in range(len(widths))
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        fused = []
        for own, row in zip(maps, self.fuse, strict=True):
            brought = [to(x) for to, x in zip(row, maps, strict=True)]
            size = own.shape[-2:]
            fused.append(torch.relu(sum(x if x.shape[-2:] == size else F.interpolate(x, size) for x in brought)))
        return fused


class ExchangeStage(nn.Module):
    """Bring maps to the stage's branches, starting one more branch at half the coarsest resolution; exchange."""

    def __init__(self, inputs: tuple[int, ...], widths: tuple[int, ...], units: int) -> None:
        super().__init__()
        steps = [nn.Identity() if a == b else ConvNorm(a, b) for a, b in zip(inputs, widths, strict=False)]
        self.transitions = nn.ModuleList([*steps, ConvNorm(inputs[-1], widths[-1], 3, 2)])
        self.units = nn.Sequential(*(ExchangeUnit(widths) for _ in range(units)))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return self.units([step(x) for step, x in zip(self.transitions, [*maps, maps[-1]], strict=True)])


class HRNet(Backbone):
    """Keeps a branch of stride 4 from end to end and gives the last stage's four branches, after the stem's map."""

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        stem, quarter, *exchanges = self.stages
        half = stem(((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last))
        maps = [quarter(half)]
        for stage in exchanges:
            maps = stage(maps)
        return [half, *maps]


def hrnet_w32(frozen: int = 0) -> HRNet:
    """HRNet-W32 without its classifier (29.3 million parameters)."""
    quarter = nn.Sequential(ConvNorm(64, 64, 3, 2), repeat(Bottleneck, 64, 64, 256, 4, 1))
    stages: list[nn.Module] = [ConvNorm(3, 64, 3, 2), quarter]
    inputs: tuple[int, ...] = (256,)
    for units in _UNITS:
        widths = _WIDTHS[: len(inputs) + 1]
        stages.append(ExchangeStage(inputs, widths, units))
        inputs = widths
    return HRNet(stages, (64, *_WIDTHS), frozen, *IMAGENET)


def _bring(widths: tuple[int, ...], source: int, target: int) -> nn.Module:
    """From branch ``source`` to ``target``: strided convolutions down; 1 x 1 up, whose pixels the unit repeats."""
    if source == target:
        return nn.Identity()
    if source > target:
        return ConvNorm(widths[source], widths[target], 1, activation=None)
    own = widths[source]
    steps = [ConvNorm(own, own, 3, 2) for _ in range(target - source - 1)]
    return nn.Sequential(*steps, ConvNorm(own, widths[target], 3, 2, activation=None))
