"""From the weights of what each pixel sees to what the caller asked for: a picture, or scores."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nbf_core.types import Fragments, RenderOutput, ScoreOutput, Similarities
from nbf_renderers._candidates import Slots
from nbf_renderers._mix import mix, put_rows

# Rendered features shorter than this are left as they are by the normalisation, as torch's normalize does.
_SHORTEST = 1e-12


@dataclass(frozen=True)
class Drawn:
    """Slots with their weights and depths ``[m, n]``, the bound of the lost weight ``[n]``, and the grid."""

    slots: Slots
    weight: Tensor
    depth: Tensor
    lost: Tensor
    grid: tuple[int, int, int]

    @property
    def person(self) -> Tensor:
        """Of each pixel, ``[n]``."""
        return torch.div(self.slots.pixel, self.grid[1] * self.grid[2], rounding_mode="floor")

    def fragments(self, kernels: int) -> Fragments:
        """The contract's record of it; ``kernels`` is their number a person."""
        valid = self.slots.valid
        local = self.slots.kernel - self.person * kernels
        return Fragments(
            pixel=self.slots.pixel,
            kernel=torch.where(valid, local, -1).T.contiguous(),
            weight=self.weight.T.contiguous(),
            depth=torch.where(valid, self.depth, torch.inf).T.contiguous(),
            truncated=self.slots.truncated,
            lost=self.lost,
            grid=self.grid,
        )

    def spread(self, values: Tensor) -> Tensor:
        """Values ``[n, ...]`` of the pixels that see something as maps ``[b, h, w, ...]``, zero elsewhere."""
        size = self.grid[0] * self.grid[1] * self.grid[2]
        return put_rows(size, self.slots.pixel, values).view(*self.grid, *values.shape[1:])

    def silhouette(self) -> Tensor:
        """``min(1, sum_m w_m)``, ``[b, h, w]``."""
        return self.spread(self.weight.sum(0).clamp(max=1.0))


def compose(drawn: Drawn, attributes: Tensor) -> RenderOutput:
    """Mix ``attributes`` ``[b, k, c]`` or ``[k, c]`` by the weights."""
    count = attributes.shape[-2]
    table = attributes.to(drawn.weight.dtype)
    if attributes.dim() == 3:
        values = mix(table.flatten(0, 1), drawn.slots.kernel, drawn.weight)
    else:
        values = mix(table, drawn.slots.kernel - drawn.person * count, drawn.weight)
    return RenderOutput(drawn.spread(values), drawn.silhouette(), drawn.fragments(count))


def compare(drawn: Drawn, orientation: Tensor, similarities: Similarities) -> ScoreOutput:
    """``sum_o softmax_o(W_o) <R_o, f> / |R_o|`` from inner products alone: ``|R_o|^2 = w' G_o w``."""
    count = orientation.shape[1]
    weight = drawn.weight
    local = drawn.slots.kernel - drawn.person * count
    table = similarities.table.detach().to(weight.dtype).flatten(0, 2)
    gram = similarities.gram.detach().to(weight.dtype)
    agreement = (weight[..., None] * table[drawn.slots.pixel, local]).sum(0)
    pairs = gram[local[:, None], local[None]]  # [m, m, n, o]
    length2 = (weight[..., None] * (weight[:, None, :, None] * pairs).sum(0)).sum(0)
    share = mix(orientation.to(weight.dtype).flatten(0, 1), drawn.slots.kernel, weight).softmax(-1)
    score = (share * agreement / length2.clamp_min(_SHORTEST**2).sqrt()).sum(-1)
    return ScoreOutput(drawn.spread(score), drawn.silhouette(), drawn.fragments(count))
