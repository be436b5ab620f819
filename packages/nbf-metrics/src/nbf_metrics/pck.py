"""Shares of points that are near enough, in percent."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.errors import ShapeError
from nbf_metrics._mean import check_points, visible_mean
from nbf_metrics.config import Auc3dConfig, PaAuc3dConfig, PaPck3dConfig, Pck3dConfig, PckhConfig
from nbf_metrics.distance import LEAST_VISIBLE, MILLIMETRES, align_visible

PERCENT = 100.0


class Pck3d:
    """3DPCK (Mehta et al., 3DV 2017): the share of visible joints nearer than 150 mm (%).

    Takes joints in metres, centred on the pelvis.
    """

    unit = "%"
    lower_is_better = False
    takes = "joints"

    def __init__(self, config: Pck3dConfig | None = None):
        self.config = config or Pck3dConfig()

    def __call__(
        self, predicted: Float[Tensor, "b n 3"], truth: Float[Tensor, "b n 3"], visible: Float[Tensor, "b n"]
    ) -> Float[Tensor, "b"]:
        """Percent per sample, NaN where nothing is visible. Raises ShapeError."""
        return _share_within(predicted, truth, visible, [self.config.threshold])


class Auc3d:
    """The mean of 3DPCK over equally spaced thresholds from 0 to 150 mm (%).

    A joint counts where it is strictly nearer. The threshold 0 is one of them, as in the published
    evaluation, so a perfect prediction reaches 30/31.
    """

    unit = "%"
    lower_is_better = False
    takes = "joints"

    def __init__(self, config: Auc3dConfig | None = None):
        self.config = config or Auc3dConfig()

    def __call__(
        self, predicted: Float[Tensor, "b n 3"], truth: Float[Tensor, "b n 3"], visible: Float[Tensor, "b n"]
    ) -> Float[Tensor, "b"]:
        """Percent per sample, NaN where nothing is visible. Raises ShapeError."""
        steps = self.config.steps
        return _share_within(predicted, truth, visible, [self.config.limit * i / (steps - 1) for i in range(steps)])


class PaPck3d:
    """3DPCK after the rotation, scale and shift that fit the joints best (%); no reflection.

    The alignment is that of PA-MPJPE, on the visible joints, and NaN where fewer than three are; with
    ``align_on = "all"`` it is the published one, on all joints, where hidden ones move the visible.
    """

    unit = "%"
    lower_is_better = False
    takes = "joints"

    def __init__(self, config: PaPck3dConfig | None = None):
        self.config = config or PaPck3dConfig()

    def __call__(
        self, predicted: Float[Tensor, "b n 3"], truth: Float[Tensor, "b n 3"], visible: Float[Tensor, "b n"]
    ) -> Float[Tensor, "b"]:
        """Percent per sample, NaN where too little is visible. Raises ShapeError."""
        aligned, seen = _aligned(predicted, truth, visible, self.config.align_on)
        return _share_within(aligned, truth, seen, [self.config.threshold])


class PaAuc3d:
    """The mean of PA-3DPCK over the thresholds of ``3dpck-auc`` (%)."""

    unit = "%"
    lower_is_better = False
    takes = "joints"

    def __init__(self, config: PaAuc3dConfig | None = None):
        self.config = config or PaAuc3dConfig()

    def __call__(
        self, predicted: Float[Tensor, "b n 3"], truth: Float[Tensor, "b n 3"], visible: Float[Tensor, "b n"]
    ) -> Float[Tensor, "b"]:
        """Percent per sample, NaN where too little is visible. Raises ShapeError."""
        aligned, seen = _aligned(predicted, truth, visible, self.config.align_on)
        steps = self.config.steps
        return _share_within(aligned, truth, seen, [self.config.limit * i / (steps - 1) for i in range(steps)])


class Pckh:
    """PCKh@0.5 (Andriluka et al., CVPR 2014): the share of 2D points no farther off than half the head (%).

    Takes points in pixels; the head segment is the true one. The value of a sample is the share of *its own*
    points. The published implementation's value per sample is another thing, and wrong: it divides by how
    often each joint is visible over the whole batch. Its value per data set is :func:`set_share` of
    :func:`pckh_hits`. The head segment gives the scale even where hidden.
    """

    unit = "%"
    lower_is_better = False
    takes = "keypoints"

    def __init__(self, config: PckhConfig | None = None):
        self.config = config or PckhConfig()

    def __call__(
        self, predicted: Float[Tensor, "b n 2"], truth: Float[Tensor, "b n 2"], visible: Float[Tensor, "b n"]
    ) -> Float[Tensor, "b"]:
        """Percent per sample, NaN where nothing is visible or the head has no length. Raises ShapeError."""
        check_points(predicted, truth, visible, 2)
        hits = pckh_hits(predicted, truth, self.config.head, self.config.share)
        values = PERCENT * visible_mean(_with_nan(hits, predicted), visible)
        first, second = self.config.head
        has_head = (truth[:, first] - truth[:, second]).norm(dim=-1) > 0
        return torch.where(has_head, values, torch.full_like(values, torch.nan))


def pckh_hits(
    predicted: Float[Tensor, "b n 2"],
    truth: Float[Tensor, "b n 2"],
    head: tuple[int, int] = (12, 13),
    share: float = 0.5,
) -> Bool[Tensor, "b n"]:
    """Which points lie within ``share`` of the true head segment ``head``. Raises ShapeError for ``head``."""
    if max(head) >= truth.shape[1]:
        raise ShapeError(f"head: the head segment joins points {head}, but there are {truth.shape[1]} points")
    length = (truth[:, head[0]] - truth[:, head[1]]).norm(dim=-1, keepdim=True)
    return (predicted - truth).norm(dim=-1) <= share * length


def set_share(hits: Bool[Tensor, "b n"], visible: Float[Tensor, "b n"]) -> Float[Tensor, ""]:
    """The published PCK of a whole data set (%): the mean over joints of each joint's share of hits where visible.

    Joints that nobody shows are left out. It is not the mean of the samples' values: there every sample counts
    the same, here every joint does. Raises ShapeError.
    """
    if hits.shape != visible.shape:
        raise ShapeError(f"visible: expected shape {tuple(hits.shape)}, got {tuple(visible.shape)}")
    return PERCENT * visible_mean(hits.T.to(visible.dtype), visible.T).nanmean()


def _aligned(predicted: Tensor, truth: Tensor, visible: Tensor, on: str) -> tuple[Tensor, Tensor]:
    """The aligned prediction, and what is visible: nothing where that is too little to align on."""
    check_points(predicted, truth, visible, 3)
    if on == "all":
        return align_visible(predicted, truth, torch.ones_like(visible)), visible
    enough = (visible > 0).sum(-1, keepdim=True) >= LEAST_VISIBLE
    return align_visible(predicted, truth, visible), torch.where(enough, visible, 0)


def _share_within(predicted: Tensor, truth: Tensor, visible: Tensor, thresholds: list[float]) -> Tensor:
    check_points(predicted, truth, visible, 3)
    distance = MILLIMETRES * (predicted - truth).norm(dim=-1)
    limits = distance.new_tensor(thresholds)
    near = (distance[..., None] < limits).to(distance.dtype).mean(-1)
    return PERCENT * visible_mean(_with_nan(near, predicted), visible)


def _with_nan(hits: Tensor, predicted: Tensor) -> Tensor:
    """A prediction that is no number is no miss but a failure: NaN, so that whoever averages sees it."""
    return torch.where(torch.isfinite(predicted).all(-1), hits.to(predicted.dtype), torch.nan)
