"""ResNet-50 (He et al., CVPR 2016)."""

from __future__ import annotations

from torch import nn

from nbf_regressors.backbones.base import IMAGENET, Backbone
from nbf_regressors.layers import Bottleneck, ConvNorm, repeat

_DEPTHS = (3, 4, 6, 3)  # table 1, column 50-layer


def resnet50(frozen: int = 0) -> Backbone:
    """ResNet-50 without its classifier (23.5 million parameters)."""
    stages: list[nn.Module] = [ConvNorm(3, 64, 7, 2)]
    inputs = 64
    for i, depth in enumerate(_DEPTHS):
        hidden = 64 * 2**i
        stages.append(repeat(Bottleneck, inputs, hidden, 4 * hidden, depth, 1 if i == 0 else 2))
        inputs = 4 * hidden
    stages[1] = nn.Sequential(nn.MaxPool2d(3, 2, padding=1), stages[1])
    return Backbone(stages, (64, 256, 512, 1024, 2048), frozen, *IMAGENET)
