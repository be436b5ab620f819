"""Decoders: the maps of a backbone to the maps that features, parts and pose are read from."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nbf_regressors.layers import ConvNorm


class Decoded(NamedTuple):
    """The maps that the features, the parts and the pooled summary of the head are read from; some may be one."""

    features: Tensor
    parts: Tensor
    pooled: Tensor


class ShuffleDecoder(nn.Module):
    """Coarse to fine with lateral connections.

    Gives the fine map, as large as the backbone's map number ``level`` (0 or 1), with 64 channels, and one as large as
    its map number 1 with ``width`` channels that the head pools. The last step to level 0 is a 1 x 1 convolution and a
    pixel shuffle: most of the cost of a decoder lies in its finest convolutions.
    """

    def __init__(self, channels: tuple[int, ...], width: int, level: int) -> None:
        super().__init__()
        fine = 64
        half, quarter, *coarse = channels
        self.top = ConvNorm(coarse[-1], 2 * width, 1)
        widths = [2 * width] * (len(coarse) - 1) + [width]
        inputs = [2 * width] + widths[:-1]
        laterals = [*reversed(coarse[:-1]), quarter]
        self.laterals = nn.ModuleList(ConvNorm(c, i, 1) for c, i in zip(laterals, inputs, strict=True))
        self.merges = nn.ModuleList(ConvNorm(i, o, 3) for i, o in zip(inputs, widths, strict=True))
        self.level = level
        if level == 0:
            self.finest = nn.Sequential(nn.Conv2d(width, 4 * fine, 1), nn.PixelShuffle(2))
            self.detail = nn.Conv2d(half, fine, 1)
        else:
            self.finest = nn.Conv2d(width, fine, 1)
        self.last = ConvNorm(fine, fine, 3)
        self.widths = (fine, fine, width)

    def forward(self, maps: list[Tensor]) -> Decoded:
        half, *rest = maps
        x = self.top(rest[-1])
        for lateral, merge, skip in zip(self.laterals, self.merges, reversed(rest[:-1]), strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="nearest")
            x = merge(x + lateral(skip))
        fine = self.finest(x)
        if self.level == 0:
            fine = fine + self.detail(half)
        fine = self.last(fine)
        return Decoded(fine, fine, x)


class UNetDecoder(nn.Module):
    """Coarse to fine by joining each finer map (Ronneberger et al., 2015): 3DNBF's for ResNet-50. Level 1."""

    def __init__(self, channels: tuple[int, ...], width: int, level: int = 1) -> None:
        super().__init__()
        top, *skips = reversed(channels[1:])
        self.top = _twice(top, skips[0], skips[0])
        outputs = [*skips[1:], width]
        self.merges = nn.ModuleList(_twice(2 * s, s, o) for s, o in zip(skips, outputs, strict=True))
        self.widths = (width, width, width)

    def forward(self, maps: list[Tensor]) -> Decoded:
        *skips, top = maps[1:]
        x = self.top(top)
        for merge, skip in zip(self.merges, reversed(skips), strict=True):
            x = merge(torch.cat([skip, _enlarge(x, skip.shape[-2:])], dim=1))
        return Decoded(x, x, x)


class JoinDecoder(nn.Module):
    """Convolves coarser maps up to level 1, a step for each octave, and joins all: 3DNBF's for HRNet."""

    def __init__(self, channels: tuple[int, ...], width: int, level: int = 1) -> None:
        super().__init__()
        maps = channels[1:]
        self.climbs = nn.ModuleList(
            nn.ModuleList(ConvNorm(c, c) for _ in range(steps)) for steps, c in enumerate(maps[1:], 1)
        )
        self.pose = nn.Conv2d(sum(maps), width, 1, bias=False)
        self.widths = (sum(maps), width, width)

    def forward(self, maps: list[Tensor]) -> Decoded:
        finest, *coarse = maps[1:]
        joined = [finest]
        for climb, x in zip(self.climbs, coarse, strict=True):
            for step in climb:
                x = step(_enlarge(x, (2 * x.shape[-2], 2 * x.shape[-1])))
            joined.append(x)
        features = torch.cat(joined, dim=1)
        pose = self.pose(features)
        return Decoded(features, pose, pose)


def _twice(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(ConvNorm(inputs, hidden, bias=True), ConvNorm(hidden, outputs, bias=True))


def _enlarge(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, with the corner pixels' centres kept in place, as published."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


# Each says in ``widths`` how many channels the three maps of its ``Decoded`` have.
DECODERS = {"shuffle": ShuffleDecoder, "unet": UNetDecoder, "join": JoinDecoder}
