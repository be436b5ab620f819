"""Where the feature map shows each kernel: pixels that look most like it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from nbf_core.errors import ShapeError

CHUNK = 128
"""Kernels compared at once: the heat maps of all would take gigabytes."""


def detect_vertices(
    features: Float[Tensor, "b c h w"],
    bank: Float[Tensor, "k o c"],
    boxes: Float[Tensor, "b 4"] | None = None,
) -> tuple[Int[Tensor, "b k 2"], Float[Tensor, "b k"]]:
    """Column and row of the pixel most like each kernel in any orientation bin, and their cosine (3DNBF).

    ``boxes`` (x0, y0, x1, y1, in pixels of the map) silence the pixels whose indices are not strictly inside: their
    cosine counts as 0, as published, so that one of them is found where all inside look unlike. The first of
    equals is found. Raises ShapeError where the channels differ.
    """
    people, channels, height, width = features.shape
    if bank.shape[-1] != channels:
        raise ShapeError(f"channels differ: features {channels}, bank {bank.shape[-1]}")
    flat = F.normalize(features, dim=1).flatten(2)
    bank = F.normalize(bank.to(flat), dim=-1)
    inside = _inside(boxes, height, width, features.device).flatten(1) if boxes is not None else None
    places, values = [], []
    for part in bank.split(CHUNK):
        heat = (part.flatten(0, 1) @ flat).unflatten(1, part.shape[:2]).amax(2)
        if inside is not None:
            heat = torch.where(inside[:, None], heat, 0)
        value, place = heat.max(-1)
        places.append(place)
        values.append(value)
    place = torch.cat(places, 1)
    row = torch.div(place, width, rounding_mode="floor")
    return torch.stack([place - row * width, row], dim=-1), torch.cat(values, 1)


def _inside(boxes: Float[Tensor, "b 4"], height: int, width: int, device: torch.device) -> Tensor:
    x, y = torch.arange(width, device=device), torch.arange(height, device=device)[:, None]
    left, top, right, bottom = (side[:, None, None] for side in boxes.to(device).unbind(-1))
    return (x > left) & (x < right) & (y > top) & (y < bottom)
