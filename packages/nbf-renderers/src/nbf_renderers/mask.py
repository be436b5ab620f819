"""What can be read off fragments: the mask, and fragments behind something that covers the picture."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from nbf_core.errors import ShapeError
from nbf_core.types import Fragments


def nearest_mask(fragments: Fragments) -> Bool[Tensor, "b h w"]:
    """True where a pixel sees any kernel at all, however little that kernel weighs there."""
    mask = torch.zeros(fragments.grid, dtype=torch.bool, device=fragments.pixel.device)
    mask.view(-1)[fragments.pixel] = True
    return mask


def clear_pixels(fragments: Fragments, covered: Bool[Tensor, "b h w"]) -> Fragments:
    """The fragments without the ``covered`` pixels: kernels seen only there become invisible.

    Raises ShapeError where ``covered`` is not of the fragments' grid.
    """
    if tuple(covered.shape) != fragments.grid:
        raise ShapeError(f"covered: expected shape {list(fragments.grid)}, got {list(covered.shape)}")
    kept = (~covered.reshape(-1)[fragments.pixel]).nonzero().squeeze(1)
    return fragments.map(lambda value: value.index_select(0, kept))
