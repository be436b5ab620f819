"""Similarity alignment."""

from __future__ import annotations

import roma
import torch
from jaxtyping import Float
from torch import Tensor


def similarity_align(
    source: Float[Tensor, "b n 3"],
    target: Float[Tensor, "b n 3"],
    weights: Float[Tensor, "b n"] | None = None,
) -> Float[Tensor, "b n 3"]:
    """``source`` moved onto ``target`` by the rotation, scale and shift of least squares (Umeyama, 1991)."""
    weights = torch.ones_like(source[..., 0]) if weights is None else weights
    rotation, shift, scale = roma.rigid_points_registration(source, target, weights=weights, compute_scaling=True)
    return scale[:, None, None] * source @ rotation.mT + shift[:, None]
