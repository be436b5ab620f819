"""How far off the start proves to be, and how loosely it is therefore held on to where nothing is seen."""

from __future__ import annotations

import roma
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_fitters.correspondence.records import Prior, State

USUAL_TURN = 0.3
"""Standard deviation (radians, about each axis) of a joint of the start, for which ``anchor_weight`` is made."""

USUAL_SHAPE, USUAL_DEPTH = 0.5, 0.045
"""That of a shape coefficient and of the logarithm of the depth, for which ``shape_anchor`` and ``depth_weight`` are
made."""

EXPECTED_TURN, EXPECTED_SIZE = 3.0, 1.0
"""So many directions seen would say as much about a start as is known about it before: of turns; of shape and depth."""

FARTHEST = 1.0
"""A joint that turned further (radians) counts as turned so far: it may have found a wrong place."""


def variances(matrix: Float[Tensor, "b v v"]) -> Float[Tensor, "b v"]:
    """The diagonal of the inverse; zeros where there is none."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    eye = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    half = torch.linalg.solve_triangular(factor, eye.expand_as(matrix), upper=False)
    value = half.square().sum(1)
    return torch.where((failed == 0)[:, None] & value.isfinite(), value, 0)


def rescaled(prior: Prior, state: State, matrix: Float[Tensor, "b v v"], limits: tuple[float, float]) -> Prior:
    """``prior`` with anchors for a start as wrong as it proves to be where the picture rather than the start decides.

    One variance for all turns of a person and one for shape and depth, by MacKay's rule (Bayesian interpolation,
    1992): the squared distances from the start over the number of directions decided by what is seen. ``matrix`` is
    the normal matrix at ``state``; ``limits`` are the least and the greatest ratio of standard deviations to the
    usual ones. The root's is its own turn where that is larger: it may have been seen from behind.
    """
    people, joints = prior.anchor.shape
    spread = variances(matrix)
    failed = (spread == 0).all(-1)[:, None]
    turn = roma.rotmat_to_rotvec(state.rotations @ prior.rotations.mT).square().sum(-1).clamp_max(FARTHEST**2)
    unsure = spread[:, : 3 * joints].unflatten(-1, (joints, 3)).sum(-1)
    known = (3 - prior.anchor * unsure).clamp(0, 3).masked_fill(failed, 0)
    low, high = (USUAL_TURN * limit for limit in limits)
    square = turn[:, 1:].sum(-1) + EXPECTED_TURN * USUAL_TURN**2
    square = (square / (known[:, 1:].sum(-1) + EXPECTED_TURN)).clamp(low**2, high**2)
    root = torch.maximum(square, turn[:, 0] / 3)
    loose = torch.cat([root[:, None], square[:, None].expand(people, joints - 1)], dim=1) / USUAL_TURN**2
    size = _size_error(prior, state, spread, failed).clamp(limits[0] ** 2, limits[1] ** 2)
    shift_anchor = torch.cat([prior.shift_anchor[:, :2], prior.shift_anchor[:, 2:] / size[:, None]], dim=1)
    return prior._replace(
        anchor=prior.anchor / loose, shape_anchor=prior.shape_anchor / size, shift_anchor=shift_anchor
    )


def _size_error(
    prior: Prior, state: State, spread: Float[Tensor, "b v"], failed: Bool[Tensor, "b 1"]
) -> Float[Tensor, "b"]:
    """The variance of the start's shape and depth, which trade for one another, over the usual."""
    first = 3 * prior.anchor.shape[1]
    depth = prior.shift[:, 2].clamp_min(1e-6)
    away = torch.cat(
        [(state.betas - prior.betas) / USUAL_SHAPE, torch.log(state.shift[:, 2:] / depth[:, None]) / USUAL_DEPTH], dim=1
    )
    unsure = torch.cat(
        [prior.shape_anchor[:, None] * spread[:, first + 3 :], prior.shift_anchor[:, 2:] * spread[:, first + 2, None]],
        dim=1,
    )
    known = (1 - unsure).clamp(0, 1).masked_fill(failed, 0).sum(-1)
    square = torch.nan_to_num(away).square().clamp_max(16).sum(-1)
    return (square + EXPECTED_SIZE) / (known + EXPECTED_SIZE)
