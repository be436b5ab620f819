"""The blocks that backbones and decoders are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvNorm(nn.Sequential):
    """Convolution, batch normalisation and, unless ``activation`` is None, an activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        activation: type[nn.Module] | None = nn.ReLU,
        eps: float = 1e-5,
        bias: bool = False,
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias),
            nn.BatchNorm2d(outputs, eps=eps),
        ]
        super().__init__(*layers, *([activation()] if activation else []))


class _Shortcut(nn.Module):
    """A ``body`` beside a shortcut, which is a 1 x 1 convolution where shapes differ."""

    def __init__(self, body: nn.Sequential, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = body
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else ConvNorm(inputs, outputs, 1, stride, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.shortcut(x) + self.body(x))


class Residual(_Shortcut):
    """Two 3 x 3 convolutions beside a shortcut (He et al., 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        body = nn.Sequential(ConvNorm(inputs, outputs, 3, stride), ConvNorm(outputs, outputs, 3, activation=None))
        super().__init__(body, inputs, outputs, stride)


class Bottleneck(_Shortcut):
    """Narrow, convolve 3 x 3, widen fourfold, beside a shortcut (He et al., 2016, figure 5); strides at the 3 x 3."""

    def __init__(self, inputs: int, hidden: int, stride: int = 1) -> None:
        body = nn.Sequential(
            ConvNorm(inputs, hidden, 1),
            ConvNorm(hidden, hidden, 3, stride),
            ConvNorm(hidden, 4 * hidden, 1, activation=None),
        )
        super().__init__(body, inputs, 4 * hidden, stride)


class InvertedResidual(nn.Module):
    """The mobile block of EfficientNet-Lite: expand, depthwise, project; ReLU6, no squeeze and excitation."""

    def __init__(self, inputs: int, outputs: int, expand: int, kernel: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * expand
        block = {"activation": nn.ReLU6, "eps": 1e-3}
        layers = [ConvNorm(inputs, hidden, 1, **block)] if expand > 1 else []
        layers += [
            ConvNorm(hidden, hidden, kernel, stride, groups=hidden, **block),
            ConvNorm(hidden, outputs, 1, activation=None, eps=1e-3),
        ]
        self.body = nn.Sequential(*layers)
        self.residual = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


def repeat(block: type[nn.Module], inputs: int, width: int, outputs: int, count: int, stride: int) -> nn.Sequential:
    """``count`` blocks of ``width``, each giving ``outputs`` channels; the first one takes ``inputs`` and strides."""
    first = block(inputs, width, stride)
    return nn.Sequential(first, *(block(outputs, width) for _ in range(count - 1)))
