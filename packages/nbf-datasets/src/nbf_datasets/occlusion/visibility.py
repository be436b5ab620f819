"""Which kernels an occluder leaves visible."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from nbf_core.contracts import Occluder
from nbf_datasets.occlusion.paint import covered_cells
from nbf_datasets.occlusion.places import NOTHING
from nbf_datasets.patches import REFERENCE


def visible_kernels(
    nearest: Int[Tensor, "b h w"], occluders: Sequence[Occluder], kernels: int, image_size: tuple[int, int]
) -> Bool[Tensor, "b k"]:
    """Kernels that are the nearest of some cell whose centre is not behind the occluder.

    ``nearest`` holds the number of each cell's nearest kernel, negative where there is none; ``image_size`` is that
    of the image in whose pixels the occluders are given.
    """
    size = tuple(nearest.shape[-2:])
    hidden = torch.stack([covered_cells(occluder, image_size, size) for occluder in occluders])
    # One more column for cells without a kernel, cut off again.
    number = torch.where(hidden.to(nearest.device) | (nearest < 0), kernels, nearest).flatten(1).long()
    return torch.zeros(len(nearest), kernels + 1, dtype=torch.bool, device=nearest.device).scatter(1, number, True)[
        :, :-1
    ]


def published_occluder(cell: tuple[int, int], size: int, stride: int, side: int) -> Occluder:
    """The rectangle that the published code clears in a square map, in the map's own cells: for comparison only.

    It truncates where the drawing rounds, and takes the grid's row for the column and the other way round.
    """
    if size == 0:
        return NOTHING
    length, step = int(size * side / REFERENCE), int(stride * side / REFERENCE)
    column, row = cell
    y0, x0 = min(row * step, side), min(column * step, side)
    return Occluder(x0, y0, min(x0 + length, side), min(y0 + length, side), size, stride, cell)
