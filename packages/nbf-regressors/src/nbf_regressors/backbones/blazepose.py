"""The landmark network of BlazePose as a backbone: it has learned people (Bazarevsky et al., 2020).

Its inverted residuals go down to 1/32 of its input, 1 x 1 laterals come up again to 1/4 (the branch that its
heatmaps are read from), and a chain of depthwise blocks sums the whole picture up (the branch that its 3D landmarks
are read from). All three are given to the decoder. It was published for inference, with batch normalisation folded into
its convolutions. What is trained here gets it back, else the first steps destroy what was learned.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nbf_core.errors import AssetError
from nbf_core.weights import read_weights
from nbf_regressors.backbones.base import depthwise_precision

EPS = 1e-3
"""Of the batch normalisation: TensorFlow's, which it was trained with."""


class FoldedConv(nn.Conv2d):
    """A convolution with a bias, which batch normalisation is folded into until ``unfold`` takes it out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.norm: nn.BatchNorm2d | None = None

    def unfold(self) -> None:
        """From now on the bias is a batch normalisation's. ``load_blazepose`` sets its scale and offset."""
        self.norm = nn.BatchNorm2d(self.out_channels, eps=EPS)
        self.bias = None

    def forward(self, x: Tensor) -> Tensor:
        if self.norm is None:
            return super().forward(x)
        if self.groups == 1:
            return self.norm(super().forward(x))
        with depthwise_precision(x):
            return self.norm(super().forward(x.float()))

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        """Folded weights fit where they are unfolded and the other way round: the same function, another form."""
        weight, bias = prefix + "weight", prefix + "bias"
        if self.norm is not None and bias in state_dict:
            norm = self.norm.state_dict()
            ratio = (norm["running_var"] + EPS).sqrt() / norm["weight"]
            norm["running_mean"] = (norm["bias"] - state_dict.pop(bias)) * ratio
            state_dict[weight] = state_dict[weight].float() * ratio[:, None, None, None]
            state_dict.update({f"{prefix}norm.{name}": value for name, value in norm.items()})
        elif self.norm is None:
            fold(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)


def fold(tensors: dict[str, Tensor], prefix: str) -> None:
    """Fold the batch normalisation of the convolution ``prefix`` into it, where it has one."""
    if f"{prefix}norm.weight" in tensors:
        norm = {name: tensors.pop(f"{prefix}norm.{name}").float() for name in nn.BatchNorm2d(1).state_dict()}
        ratio = norm["weight"] / (norm["running_var"] + EPS).sqrt()
        tensors[f"{prefix}weight"] = tensors[f"{prefix}weight"].float() * ratio[:, None, None, None]
        tensors[f"{prefix}bias"] = norm["bias"] - norm["running_mean"] * ratio


class _Conv(nn.Sequential):
    """A convolution, and ReLU6 unless ``linear``."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        convolution = FoldedConv(inputs, outputs, kernel, stride, kernel // 2, groups=groups)
        super().__init__(convolution, *([] if linear else [nn.ReLU6(inplace=True)]))


class _Inverted(nn.Module):
    """Expand, depthwise, project."""

    def __init__(self, inputs: int, hidden: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.expand = _Conv(inputs, hidden)
        self.depthwise = _Conv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = _Conv(hidden, outputs, linear=True)
        self.residual = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class _Lateral(nn.Sequential):
    """Depthwise, then 1 x 1, each with ReLU6."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(_Conv(inputs, inputs, 3, groups=inputs), _Conv(inputs, outputs))


class _Summary(nn.Module):
    """Depthwise 3 x 3 and 1 x 1 beside a shortcut, which pools where the block halves the map."""

    def __init__(self, width: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.depthwise = FoldedConv(width, width, 3, stride, 0 if stride == 2 else 1, groups=width)
        self.project = FoldedConv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        # Even maps are padded at their far sides alone when halved, as TensorFlow does.
        y = F.relu6(self.depthwise(F.pad(x, (0, 1, 0, 1)) if self.stride == 2 else x))
        shortcut = F.max_pool2d(x, 2) if self.stride == 2 else x
        return F.relu6(shortcut + self.project(y))


class BlazePose(nn.Module):
    """Maps at 1/4, 1/8, 1/16 and 1/32 of the picture's size, and one vector for all of it.

    It was made for pictures of 256 px in which one person stands upright and fills most of the height.
    ``frozen`` counts the stages of the way down that are not trained; with all 5 nothing here is. The rest is
    batch-normalised.
    """

    finest = 4
    channels = (24 + 48, 32 + 48, 88 + 48, 144 + 48, 2 * 2 * 288)

    def __init__(self, frozen: int = 0) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            [
                nn.Sequential(_Conv(3, 24, 3, 2), _Conv(24, 24, 3, groups=24), _Conv(24, 16, linear=True)),
                nn.Sequential(_Inverted(16, 64, 24, 3, 2), _Inverted(24, 144, 24, 3)),
                nn.Sequential(_Inverted(24, 144, 32, 5, 2), _Inverted(32, 192, 32, 5)),
                nn.Sequential(
                    _Inverted(32, 192, 64, 3, 2), _Inverted(64, 384, 64, 3), _Inverted(64, 384, 64, 3),
                    _Inverted(64, 384, 88, 5), _Inverted(88, 528, 88, 5), _Inverted(88, 528, 88, 5),
                ),
                nn.Sequential(_Inverted(88, 528, 144, 5, 2), *(_Inverted(144, 864, 144, 5) for _ in range(3))),
            ]
        )  # fmt: skip
        self.deepest = nn.Sequential(_Conv(144, 864), _Conv(864, 864, 3, groups=864))
        self.laterals = nn.ModuleList(_Lateral(width, 48) for width in (24, 32, 88, 864))
        self.summary = nn.Sequential(
            _Lateral(864, 288), _Summary(288, 2), *(_Summary(288) for _ in range(4)),
            _Summary(288, 2), *(_Summary(288) for _ in range(5)),
        )  # fmt: skip
        self.frozen = frozen
        held = self.down[:frozen] if frozen < len(self.down) else self
        held.requires_grad_(False)
        for module in self.modules():
            if isinstance(module, FoldedConv) and module.weight.requires_grad:
                module.unfold()

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        x = images.contiguous(memory_format=torch.channels_last)
        maps = []
        for stage in self.down:
            x = stage(x)
            maps.append(x)
        deepest = self.deepest(x)
        up = self.laterals[3](deepest)
        joined = [torch.cat([x, up], 1)]
        for lateral, skip in zip(reversed(self.laterals[:3]), reversed(maps[1:4]), strict=True):
            up = F.interpolate(up, size=skip.shape[-2:], mode="bilinear", align_corners=False) + lateral(skip)
            joined.insert(0, torch.cat([skip, up], 1))
        whole = F.adaptive_avg_pool2d(self.summary(deepest), 2)
        return [*joined, whole.flatten(1)[:, :, None, None]]


@torch.no_grad()
def load_blazepose(backbone: BlazePose) -> None:
    """Fill the backbone with BlazePose's own weights (Apache-2.0), which ``nbf-detect-blazepose`` ships.

    Beside each convolution they hold the mean and the standard deviation of what it gives for synthetic people: the
    offset and the scale that batch normalisation starts with where it is taken out of the convolution. The filters that
    remain have unit norm, since an optimiser's steps do not depend on how large a weight is; only those of channels
    that hardly ever vary stay larger, lest one that comes to life drowns the others.
    """
    given = dict(read_weights("blazepose-full").tensors)
    for name, module in backbone.named_modules():
        if isinstance(module, FoldedConv):
            mean, std = (given.pop(f"{name}.{key}", None) for key in ("mean", "std"))
            if module.norm is not None and mean is not None and std is not None:
                unit = 1 / given[f"{name}.weight"].float().flatten(1).norm(dim=1)
                scale = torch.maximum(unit, (0.1 / std.float()).minimum(100 * unit))
                variance = (std * scale).square()
                module.norm.running_var.copy_(variance)
                module.norm.bias.copy_(mean)
                module.norm.weight.copy_(std * (1 + module.norm.eps / variance).sqrt())
    left = backbone.load_state_dict(given, strict=False)
    if odd := [*left.missing_keys, *left.unexpected_keys]:
        raise AssetError(f"weights blazepose-full: tensor {odd[0]} is missing or odd")
