"""The U-Net-like decoder: backbone maps to one fine map and one for pooling."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nbf_regressors.backbones import ConvNorm


class Decoder(nn.Module):
    """Coarse to fine with lateral connections.

    Gives the fine map at stride ``stride`` (2 or 4) with ``fine`` channels, and the map at stride 4 with
    ``width`` channels that the head pools. The last step to stride 2 is a 1 x 1 convolution and a pixel
    shuffle: most of the cost of a decoder lies in its finest convolutions.
    """

    def __init__(self, channels: tuple[int, ...], width: int, fine: int, stride: int) -> None:
        super().__init__()
        half, quarter, *coarse = channels
        self.top = ConvNorm(coarse[-1], 2 * width, 1)
        widths = [2 * width] * (len(coarse) - 1) + [width]
        inputs = [2 * width] + widths[:-1]
        laterals = [*reversed(coarse[:-1]), quarter]
        self.laterals = nn.ModuleList(ConvNorm(c, i, 1) for c, i in zip(laterals, inputs, strict=True))
        self.merges = nn.ModuleList(ConvNorm(i, o, 3) for i, o in zip(inputs, widths, strict=True))
        self.stride = stride
        if stride == 2:
            self.finest = nn.Sequential(nn.Conv2d(width, 4 * fine, 1), nn.PixelShuffle(2))
            self.detail = nn.Conv2d(half, fine, 1)
        else:
            self.finest = nn.Conv2d(width, fine, 1)
        self.last = ConvNorm(fine, fine, 3)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        half, *rest = maps
        x = self.top(rest[-1])
        for lateral, merge, skip in zip(self.laterals, self.merges, reversed(rest[:-1]), strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="nearest")
            x = merge(x + lateral(skip))
        fine = self.finest(x)
        if self.stride == 2:
            fine = fine + self.detail(half)
        return self.last(fine), x
