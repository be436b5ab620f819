"""Against the published evaluation code: tests/golden, or the folder NBF_GOLDEN_DIR names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nbf_metrics import (
    Acceleration,
    Auc3d,
    Mpjpe,
    PaAuc3d,
    PaMpjpe,
    PaPck3d,
    Pck3d,
    Pckh,
    Pve,
    align_scale,
    align_visible,
    pckh_hits,
    set_share,
)
from nbf_metrics.config import PaAuc3dConfig, PaPck3dConfig, Pck3dConfig
from nbf_testing.golden import GoldenCase, cases

CASES = cases("metrics", Path(__file__).parent / "golden")
METRES = 1e-3


class Case:
    """One golden case: 3D inputs in metres."""

    def __init__(self, golden: GoldenCase):
        self.golden = golden
        self.pred, self.gt = (METRES * golden.tensor(name) for name in ("pred", "gt"))
        self.pred2d, self.gt2d = golden.tensor("pred2d"), golden.tensor("gt2d")
        self.visible = golden.tensor("mask").double()
        self.seen = self.visible > 0

    def check(self, name: str, value: Tensor, keep: Tensor | None = None) -> None:
        """Compare where ``keep`` holds."""
        if keep is not None:
            expected = torch.as_tensor(self.golden.outputs[name])
            value = torch.where(keep.reshape(*keep.shape, *[1] * (value.ndim - keep.ndim)), value, expected)
        self.golden.check(name, value)

    def pooled(self, values: Tensor) -> Tensor:
        """The published value of a whole set: every visible joint counts once."""
        count = self.seen.sum(-1)
        return (values[count > 0] * count[count > 0]).sum() / count.sum()


@pytest.fixture(params=CASES, ids=str)
def case(request) -> Case:
    return Case(request.param)


def test_golden_there_are_cases():
    assert CASES


def test_golden_mpjpe(case):
    values = Mpjpe()(case.pred, case.gt, case.visible)
    # Published: 0 where nothing is visible. Ours: NaN.
    assert values.isnan().equal(~case.seen.any(-1))
    case.check("mpjpe_elementwise_none", values, case.seen.any(-1))
    case.check("mpjpe_none", case.pooled(values))


def test_golden_pa_mpjpe(case):
    values = PaMpjpe()(case.pred, case.gt, case.visible)
    enough = case.seen.sum(-1) >= 3
    # Published: 0 where one or two joints are visible. Ours: NaN.
    assert values.isnan().equal(~enough)
    case.check("mpjpe_elementwise_procrustes", values, enough)


def test_golden_alignment_on_visible_joints(case):
    aligned = align_visible(case.pred, case.gt, case.visible) / METRES
    # Two joints leave a turn about their line free, and joints that share one place every turn.
    spread = (case.gt - case.gt.mean(1, keepdim=True)).norm(dim=-1).amax(-1) > 1e-9
    spread &= (case.pred - case.pred.mean(1, keepdim=True)).norm(dim=-1).amax(-1) > 1e-9
    # The published code writes the visible joints back and leaves the others unaligned.
    case.check("pred_after_pa", aligned, case.seen & ((case.seen.sum(-1) >= 3) & spread)[:, None])


def test_golden_alignment_on_all_joints(case):
    aligned = align_visible(case.pred, case.gt, torch.ones_like(case.visible)) / METRES
    case.check("similarity_all_joints", aligned)


def close(case, name: str, value: Tensor) -> None:
    """Compare with what is published in float32."""
    assert value.item() == pytest.approx(case.golden.outputs[name].item(), rel=1e-6)


def test_golden_pck_and_auc(case):
    for threshold in (50, 150):
        values = Pck3d(Pck3dConfig(threshold=threshold))(case.pred, case.gt, case.visible)
        close(case, f"pck{threshold}_none", case.pooled(values))
    case.check("auc_none", case.pooled(Auc3d()(case.pred, case.gt, case.visible)))


def test_golden_pck_and_auc_after_alignment_on_all_joints(case):
    for threshold in (50, 150):
        metric = PaPck3d(PaPck3dConfig(threshold=threshold, align_on="all"))
        close(case, f"pck{threshold}_procrustes", case.pooled(metric(case.pred, case.gt, case.visible)))
    metric = PaAuc3d(PaAuc3dConfig(align_on="all"))
    case.check("auc_procrustes", case.pooled(metric(case.pred, case.gt, case.visible)))


def test_golden_after_scaling(case):
    scaled = align_scale(case.pred, case.gt)
    values = Mpjpe()(scaled, case.gt, case.visible)
    case.check("mpjpe_elementwise_scale", values, case.seen.any(-1))
    case.check("mpjpe_scale", case.pooled(values))
    for threshold in (50, 150):
        values = Pck3d(Pck3dConfig(threshold=threshold))(scaled, case.gt, case.visible)
        close(case, f"pck{threshold}_scale", case.pooled(values))
    case.check("auc_scale", case.pooled(Auc3d()(scaled, case.gt, case.visible)))


def test_golden_acceleration(case):
    everything = torch.ones_like(case.visible)
    values = Acceleration()(case.pred, case.gt, everything)
    case.check("accel", values[1:-1])
    frames = case.golden.tensor("frame_mask").double()[:, None]
    values = Acceleration()(case.pred, case.gt, everything * frames)
    case.check("accel_masked", values[~values.isnan()])


def test_golden_pve(case):
    pred, gt = METRES * case.golden.tensor("verts_pred"), METRES * case.golden.tensor("verts_gt")
    case.check("pve", Pve()(pred, gt, torch.ones(pred.shape[:2])).mean())


def test_golden_pckh_of_a_set_is_the_mean_over_joints(case):
    case.check("pckh", set_share(pckh_hits(case.pred2d, case.gt2d), case.visible))
    near = (case.pred2d - case.gt2d).norm(dim=-1) <= 5
    case.check("pck2d_thr5", set_share(near, case.visible))


def test_golden_published_pckh_per_sample_is_wrong_and_ours_is_right(case):
    ours = Pckh()(case.pred2d, case.gt2d, case.visible)
    by_hand = []
    for pred, gt, seen in zip(case.pred2d.numpy(), case.gt2d.numpy(), case.seen.numpy(), strict=True):
        error, head = np.linalg.norm(pred - gt, axis=-1), np.linalg.norm(gt[12] - gt[13])
        by_hand.append(100 * np.mean(error[seen] <= head / 2) if seen.any() else np.nan)
    assert ours.tolist() == pytest.approx(by_hand, nan_ok=True)
    published = torch.as_tensor(case.golden.outputs["pckh_elementwise_buggy"])
    perfect = (pckh_hits(case.pred2d, case.gt2d) | ~case.seen).all(-1) & case.seen.any(-1)
    # A sample with every visible point hit is no 100 % and no 1 in the published code, whatever the unit.
    assert torch.equal(ours[perfect], torch.full_like(ours[perfect], 100))
    for whole in (1.0, 100.0):
        assert not torch.isclose(published[perfect], torch.tensor(whole, dtype=published.dtype)).any()
