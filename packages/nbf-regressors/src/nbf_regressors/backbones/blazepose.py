"""The landmark network of BlazePose as a backbone: it has learned people (Bazarevsky et al., 2020).

Its inverted residuals go down to 1/32 of its input, 1 x 1 laterals come up again to 1/4 (the branch that its
heatmaps are read from), and a chain of depthwise blocks sums the whole picture up (the branch that its 3D landmarks
are read from). All three are given to the decoder. There is no batch normalisation: it is folded into the convolutions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nbf_core.errors import AssetError
from nbf_core.weights import read_weights
from nbf_regressors.backbones.base import depthwise_precision


class _Conv(nn.Sequential):
    """A convolution with bias, and ReLU6 unless ``linear``."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups)
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
        self.depthwise = nn.Conv2d(width, width, 3, stride, 0 if stride == 2 else 1, groups=width)
        self.project = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        # Even maps are padded at their far sides alone when halved, as TensorFlow does.
        y = F.relu6(self.depthwise(F.pad(x, (0, 1, 0, 1)) if self.stride == 2 else x))
        shortcut = F.max_pool2d(x, 2) if self.stride == 2 else x
        return F.relu6(shortcut + self.project(y))


class BlazePose(nn.Module):
    """Maps at 1/4, 1/8, 1/16 and 1/32 of the picture's size, and one vector for all of it.

    It was made for pictures of 256 px in which one person stands upright and fills most of the height.
    ``frozen`` counts the stages of the way down that are not trained; with all 5 nothing here is.
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

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        x = images.contiguous(memory_format=torch.channels_last)
        maps = []
        for stage in self.down[: self.frozen]:
            x = stage(x)
            maps.append(x)
        with depthwise_precision(x):
            return self._rest(x.float(), [skip.float() for skip in maps])

    def _rest(self, x: Tensor, maps: list[Tensor]) -> list[Tensor]:
        for stage in self.down[self.frozen :]:
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


def load_blazepose(backbone: BlazePose) -> None:
    """Fill the backbone with BlazePose's own weights (Apache-2.0), which ``nbf-detect-blazepose`` ships."""
    given = read_weights("blazepose-full").tensors
    own = backbone.state_dict()
    if own.keys() != given.keys():
        odd = sorted(own.keys() ^ given.keys())[0]
        raise AssetError(f"weights blazepose-full: tensor {odd} is missing or odd")
    for name, value in given.items():
        own[name].copy_(value)
