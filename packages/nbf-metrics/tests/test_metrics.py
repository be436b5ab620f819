"""What every metric promises."""

from __future__ import annotations

import pytest
import roma
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbf_core.contracts import Metric
from nbf_core.errors import ShapeError
from nbf_core.plugins import PluginManager
from nbf_metrics import (
    Acceleration,
    Auc3d,
    Mpjpe,
    OcclusionIou,
    PaAuc3d,
    PaMpjpe,
    PaPck3d,
    Pck3d,
    Pckh,
    Pve,
    align_scale,
    plugin,
    set_share,
)
from nbf_metrics.config import PaPck3dConfig, PckhConfig

ALL = [Mpjpe, PaMpjpe, Pve, Pck3d, Auc3d, PaPck3d, PaAuc3d, Pckh]
SEEDS = st.integers(0, 10_000)


def bodies(seed: int, b: int = 3, n: int = 24, d: int = 3):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randn(b, n, d, generator=generator, dtype=torch.float64)
    predicted = truth + 0.1 * torch.randn(b, n, d, generator=generator, dtype=torch.float64)
    visible = (torch.rand(b, n, generator=generator) > 0.4).double()
    visible[:, :4] = 1
    return predicted, truth, visible, generator


def dimensions(metric) -> int:
    return {"keypoints": 2, "occlusion": 1}.get(metric.takes, 3)


def test_every_name_of_the_plugin_can_be_built_and_keeps_the_contract():
    manager = PluginManager()
    manager.register(plugin, "nbf-metrics")
    assert not manager.failures
    entries = manager.entries("metrics")
    assert set(entries) == {
        *("mpjpe", "pa-mpjpe", "pve", "pckh", "3dpck", "3dpck-auc", "pa-3dpck", "pa-3dpck-auc"),
        *("acceleration", "occlusion-iou"),
    }
    for entry in entries.values():
        assert isinstance(entry.load()(entry.load_config()()), Metric)


@pytest.mark.parametrize("kind", ALL)
def test_a_perfect_prediction_is_best_and_nothing_visible_is_nan(kind):
    metric = kind()
    _, truth, visible, _ = bodies(0, d=dimensions(metric))
    best = {"mm": 0.0, "%": 100.0}[metric.unit] if kind not in (Auc3d, PaAuc3d) else 100 * 30 / 31
    assert torch.allclose(metric(truth, truth, visible), torch.full((3,), best).double(), atol=1e-6)
    visible[1] = 0
    assert metric(truth, truth, visible).isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("kind", ALL)
def test_hidden_points_and_other_samples_do_not_matter(kind):
    metric = kind()
    predicted, truth, visible, _ = bodies(1, d=dimensions(metric))
    former = metric(predicted, truth, visible)
    moved = torch.where(visible[..., None] > 0, predicted, predicted + 5)
    assert torch.allclose(metric(moved, truth, visible), former)
    assert torch.allclose(metric(predicted[1:2], truth[1:2], visible[1:2]), former[1:2])


@pytest.mark.parametrize("kind", ALL)
def test_a_prediction_that_is_no_number_stays_visible_and_spoils_nobody_else(kind):
    metric = kind()
    predicted, truth, visible, _ = bodies(2, d=dimensions(metric))
    former = metric(predicted, truth, visible)
    predicted[1, 0] = torch.nan
    spoilt = metric(predicted, truth, visible)
    assert spoilt.isnan().tolist() == [False, True, False]
    assert torch.allclose(spoilt[[0, 2]], former[[0, 2]])


@pytest.mark.parametrize("kind", [*ALL, Acceleration, OcclusionIou])
@pytest.mark.wrong_shapes
def test_wrong_shapes_are_named(kind):
    metric = kind()
    predicted, truth, visible, _ = bodies(3, d=dimensions(metric))
    with pytest.raises(ShapeError, match="predicted"):
        metric(predicted[0], truth, visible)
    with pytest.raises(ShapeError, match="truth"):
        metric(predicted, truth[:1], visible)
    with pytest.raises(ShapeError, match="visible"):
        metric(predicted, truth, visible[:, :3])


@pytest.mark.wrong_shapes
def test_a_wrong_shape_of_what_is_visible_is_named():
    with pytest.raises(ShapeError, match="visible"):
        set_share(torch.ones(2, 3, dtype=torch.bool), torch.ones(2, 2))


def test_inputs_are_not_overwritten():
    predicted, truth, visible, _ = bodies(4)
    copies = [value.clone() for value in (predicted, truth, visible)]
    PaMpjpe()(predicted, truth, visible)
    assert all(torch.equal(*pair) for pair in zip(copies, (predicted, truth, visible), strict=True))


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_pa_mpjpe_is_the_same_after_any_similarity_of_the_prediction(seed):
    predicted, truth, visible, generator = bodies(seed)
    rotation = roma.random_rotmat(3, dtype=torch.float64, generator=generator)
    scale = 0.2 + 3 * torch.rand(3, 1, 1, generator=generator, dtype=torch.float64)
    shift = torch.randn(3, 1, 3, generator=generator, dtype=torch.float64)
    moved = scale * predicted @ rotation.mT + shift
    assert torch.allclose(PaMpjpe()(moved, truth, visible), PaMpjpe()(predicted, truth, visible), atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_alignment_leaves_no_larger_squared_error_than_none(seed):
    from nbf_metrics import align_visible

    predicted, truth, visible, _ = bodies(seed)

    def cost(points):
        return (visible * (points - truth).square().sum(-1)).sum(-1)

    assert (cost(align_visible(predicted, truth, visible)) <= cost(predicted) + 1e-9).all()


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_mpjpe_is_a_distance_that_a_common_rotation_keeps(seed):
    predicted, truth, visible, generator = bodies(seed)
    rotation = roma.random_rotmat(3, dtype=torch.float64, generator=generator)
    metric = Mpjpe()
    former = metric(predicted, truth, visible)
    assert torch.allclose(metric(truth, predicted, visible), former)
    assert torch.allclose(metric(predicted @ rotation.mT, truth @ rotation.mT, visible), former)
    assert torch.allclose(metric(2 * predicted, 2 * truth, visible), 2 * former)


def test_a_mirrored_body_is_not_excused():
    _, truth, _, _ = bodies(5)
    mirrored = truth * torch.tensor([-1.0, 1, 1]).double()
    assert (PaMpjpe()(mirrored, truth, torch.ones(3, 24)) > 100).all()


@pytest.mark.parametrize("kind", [PaMpjpe, PaPck3d, PaAuc3d])
def test_two_visible_joints_are_too_few_to_align(kind):
    predicted, truth, visible, _ = bodies(6)
    visible[0] = 0
    visible[0, :2] = 1
    assert kind()(predicted, truth, visible).isnan().tolist() == [True, False, False]


def test_aligned_on_all_joints_the_hidden_ones_matter():
    predicted, truth, visible, _ = bodies(8)
    moved = torch.where(visible[..., None] > 0, predicted, predicted + 5)
    published = PaPck3d(PaPck3dConfig(align_on="all", threshold=300))
    assert not torch.allclose(published(moved, truth, visible), published(predicted, truth, visible))


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_aligned_shares_are_the_same_after_any_similarity_of_the_prediction(seed):
    predicted, truth, visible, generator = bodies(seed)
    rotation = roma.random_rotmat(3, dtype=torch.float64, generator=generator)
    moved = 0.3 * predicted @ rotation.mT + 2
    assert torch.allclose(PaPck3d()(moved, truth, visible), PaPck3d()(predicted, truth, visible))
    assert (PaAuc3d()(moved, truth, visible) <= PaPck3d()(moved, truth, visible)).all()


def test_a_body_shrunk_to_a_point_aligns_to_the_centroid():
    _, truth, _, _ = bodies(7)
    values = PaMpjpe()(torch.zeros_like(truth) + 0.3, truth, torch.ones(3, 24))
    expected = 1000 * (truth - truth.mean(1, keepdim=True)).norm(dim=-1).mean(-1)
    assert torch.allclose(values, expected)


def test_known_values():
    truth = torch.zeros(1, 4, 3)
    truth[0, 3, 1] = 1
    predicted = truth.clone()
    predicted[0, :, 0] = torch.tensor([0.0, 0.1, 0.149, 0.2])
    visible = torch.ones(1, 4)
    assert Mpjpe()(predicted, truth, visible).item() == pytest.approx(112.25, abs=1e-3)
    assert Pck3d()(predicted, truth, visible).item() == 75
    # Nearer than t for all of the 31 thresholds 0, 5, ..., 150 above the distance: 30, 10 (105 ...), 1, none.
    assert Auc3d()(predicted, truth, visible).item() == pytest.approx(100 * (30 + 10 + 1 + 0) / 31 / 4)


def test_pckh_counts_the_samples_own_points_within_half_its_head():
    truth = torch.zeros(2, 14, 2)
    truth[0, 13, 1], truth[1, 13, 1] = 10, 100
    predicted = truth.clone()
    predicted[:, :7, 0] += 6
    visible = torch.ones(2, 14)
    visible[0, 7:12] = 0
    assert Pckh()(predicted, truth, visible).tolist() == pytest.approx([100 * 2 / 9, 100])


def test_pckh_needs_a_head():
    truth = torch.zeros(1, 14, 2)
    assert Pckh()(truth, truth, torch.ones(1, 14)).isnan().all()
    with pytest.raises(ShapeError, match="head"):
        Pckh(PckhConfig(head=(12, 30)))(truth, truth, torch.ones(1, 14))


def test_the_value_of_a_set_counts_every_joint_the_same():
    hits = torch.tensor([[True, False, True], [True, True, True]])
    visible = torch.tensor([[1.0, 1, 0], [1, 1, 0]])
    assert set_share(hits, visible).item() == 75


def test_scaling_is_least_squares_and_leaves_nothing_as_it_is():
    predicted, truth, _, _ = bodies(9)
    best = align_scale(predicted, truth)
    for factor in (0.99, 1.01):
        assert ((best - truth).square().sum((1, 2)) <= (factor * best - truth).square().sum((1, 2))).all()
    assert not align_scale(torch.zeros_like(truth), truth).any()


def test_acceleration_is_that_of_the_middle_of_three_frames():
    truth = torch.zeros(5, 2, 3)
    predicted = truth.clone()
    predicted[2, 0, 0] = 0.01  # one joint jumps by a centimetre for one frame
    visible = torch.ones(5, 2)
    metric = Acceleration()
    assert metric(predicted, truth, visible).tolist() == pytest.approx([torch.nan, 5, 10, 5, torch.nan], nan_ok=True)
    visible[4, 0] = 0
    assert metric(predicted, truth, visible)[3].item() == 0  # the other joint alone
    visible[1] = 0
    assert metric(predicted, truth, visible).isnan().tolist() == [True, True, True, False, True]
    assert metric(predicted[:2], truth[:2], visible[:2]).isnan().all()


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_steady_movement_has_no_acceleration(seed):
    predicted, truth, _, generator = bodies(seed, b=6)
    drift = torch.arange(6.0)[:, None, None] * torch.randn(3, generator=generator, dtype=torch.float64)
    seen = torch.ones(6, 24).double()
    moved = Acceleration()(predicted + drift, truth, seen)
    assert torch.allclose(moved, Acceleration()(predicted, truth, seen), equal_nan=True)


def test_occlusion_iou_counts_pixels_of_the_body_only():
    truth = torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]])[..., None]
    predicted = torch.tensor([[1.0, 0, 1, 1], [0, 0, 0, 1], [0, 1, 0, 0]])[..., None]
    body = torch.tensor([[1.0, 1, 1, 0]]).expand(3, 4)
    metric = OcclusionIou()
    assert metric(predicted, truth, body).tolist() == pytest.approx([100 / 3, torch.nan, 100], nan_ok=True)
    assert torch.equal(metric(predicted, truth, body).nan_to_num(), metric(truth, predicted, body).nan_to_num())
    predicted[2, 0] = torch.nan
    assert metric(predicted, truth, body)[2].isnan()


def test_listing_the_metrics_imports_no_torch():
    import subprocess
    import sys

    lines = ("import sys", "import nbf_metrics.config", "from nbf_metrics.plugin import nbf_metrics")
    code = "; ".join((*lines, "list(nbf_metrics())", "print('torch' in sys.modules)"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
