"""Distances between predicted and true points, in millimetres.

None of these centres anything: hand over points that are centred on the pelvis, as the benchmarks do.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from nbf_core.geometry.alignment import similarity_align
from nbf_metrics._mean import check_points, visible_mean
from nbf_metrics.config import MpjpeConfig, PaMpjpeConfig, PveConfig

MILLIMETRES = 1000.0
LEAST_VISIBLE = 3
"""Joints that an alignment needs: one or two align exactly, whatever the pose."""


class Mpjpe:
    """Mean per joint position error: the mean Euclidean distance of the visible joints (mm).

    Takes joints in metres, centred on the pelvis.
    """

    unit = "mm"
    lower_is_better = True
    takes = "joints"

    def __init__(self, config: MpjpeConfig | None = None):
        self.config = config or MpjpeConfig()

    def __call__(
        self, predicted: Float[Tensor, "b n 3"], truth: Float[Tensor, "b n 3"], visible: Float[Tensor, "b n"]
    ) -> Float[Tensor, "b"]:
        """Millimetres per sample, NaN where nothing is visible. Raises ShapeError."""
        check_points(predicted, truth, visible, 3)
        return MILLIMETRES * visible_mean((predicted - truth).norm(dim=-1), visible)


class Pve(Mpjpe):
    """Per vertex error: the mean Euclidean distance of corresponding vertices (mm), pelvis-centred."""

    takes = "vertices"

    def __init__(self, config: PveConfig | None = None):
        self.config = config or PveConfig()


class PaMpjpe:
    """MPJPE after the rotation, scale and shift that fit the visible joints best (mm); no reflection.

    NaN where fewer than three joints are visible: one or two points align exactly, whatever the pose.
    """

    unit = "mm"
    lower_is_better = True
    takes = "joints"

    def __init__(self, config: PaMpjpeConfig | None = None):
        self.config = config or PaMpjpeConfig()

    def __call__(
        self, predicted: Float[Tensor, "b n 3"], truth: Float[Tensor, "b n 3"], visible: Float[Tensor, "b n"]
    ) -> Float[Tensor, "b"]:
        """Millimetres per sample, NaN where fewer than three joints are visible. Raises ShapeError."""
        check_points(predicted, truth, visible, 3)
        enough = (visible > 0).sum(-1) >= LEAST_VISIBLE
        values = visible_mean((align_visible(predicted, truth, visible) - truth).norm(dim=-1), visible)
        return torch.where(enough, MILLIMETRES * values, torch.full_like(values, torch.nan))


def align_visible(
    predicted: Float[Tensor, "b n 3"], truth: Float[Tensor, "b n 3"], visible: Float[Tensor, "b n"]
) -> Float[Tensor, "b n 3"]:
    """All points of ``predicted``, moved by the similarity that fits the visible ones to ``truth``.

    The inputs are left as they are. Visible points that all lie in one place have no rotation or scale: they
    move to the true centroid. A sample with nothing visible is aligned on all points.
    """
    seen = (visible > 0).to(predicted.dtype)
    weights = torch.where(seen.sum(-1, keepdim=True) > 0, seen, torch.ones_like(seen))
    # Neither a NaN in one sample nor one at a point that does not count may stop the decomposition.
    finite = torch.isfinite(torch.cat([predicted, truth], dim=-1)).all(-1)
    usable = (finite | (weights == 0)).all(-1)
    counts = finite[..., None]
    aligned, truth = torch.where(counts, predicted, 0), torch.where(counts, truth, 0)
    collapsed = _spread(aligned, weights) <= 1e-12
    regular = usable & ~collapsed
    if regular.any():
        aligned[regular] = similarity_align(aligned[regular], truth[regular], weights[regular])
    centroid = (weights[..., None] * truth).sum(-2, keepdim=True) / weights.sum(-1)[:, None, None]
    aligned = torch.where((usable & collapsed)[:, None, None], centroid.expand_as(aligned), aligned)
    return torch.where(usable[:, None, None] & counts, aligned, torch.nan)


def align_scale(predicted: Float[Tensor, "b n 3"], truth: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n 3"]:
    """``predicted`` times the factor that brings all its points nearest to ``truth`` (least squares), sample by sample.

    Scaled about the origin: hand over centred points. A sample of zeros stays as it is. Raises ShapeError.
    """
    check_points(predicted, truth, torch.ones_like(predicted[..., 0]), 3)
    factor = (predicted * truth).sum((-1, -2)) / predicted.square().sum((-1, -2))
    return torch.where(torch.isfinite(factor), factor, 1)[:, None, None] * predicted


def _spread(points: Float[Tensor, "b n 3"], weights: Float[Tensor, "b n"]) -> Float[Tensor, "b"]:
    """Mean squared distance of the weighted points to their centroid, relative to their size."""
    total = weights.sum(-1)
    centroid = (weights[..., None] * points).sum(-2, keepdim=True) / total[:, None, None]
    squared = (weights * (points - centroid).square().sum(-1)).sum(-1) / total
    return squared / (centroid.square().sum((-1, -2)) + squared).clamp_min(torch.finfo(points.dtype).tiny)
