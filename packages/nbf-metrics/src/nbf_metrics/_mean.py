"""Means over the visible points of each sample."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from nbf_core.errors import ShapeError


def check_points(predicted: Tensor, truth: Tensor, visible: Tensor, dimensions: int) -> None:
    """Raise ShapeError naming the argument unless they are [b, n, d], [b, n, d] and [b, n]."""
    if predicted.ndim != 3 or predicted.shape[-1] != dimensions:
        raise ShapeError(f"predicted: expected shape [b, n, {dimensions}], got {tuple(predicted.shape)}")
    for name, value, shape in (("truth", truth, predicted.shape), ("visible", visible, predicted.shape[:-1])):
        if value.shape != shape:
            raise ShapeError(f"{name}: expected shape {tuple(shape)}, got {tuple(value.shape)}")


def visible_mean(values: Float[Tensor, "b n"], visible: Float[Tensor, "b n"]) -> Float[Tensor, "b"]:
    """The mean over the points with ``visible`` > 0; NaN where a sample has none."""
    seen = visible > 0
    # where, not a product: a hidden point that is NaN must not reach the sum.
    total = torch.where(seen, values, torch.zeros_like(values)).sum(-1)
    count = seen.sum(-1)
    return torch.where(count > 0, total / count.clamp_min(1), torch.full_like(total, torch.nan))
