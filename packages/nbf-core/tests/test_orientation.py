"""Orientation bins against the published values, and what must hold of them."""

from pathlib import Path

import pytest
import torch

from nbf_core.errors import ShapeError
from nbf_core.geometry.orientation import (
    kernel_orientation_labels,
    kernel_orientation_weights,
    limb_directions,
    orientation_labels,
    orientation_weights,
)
from nbf_testing.golden import cases

HERE = Path(__file__).parent / "golden"


@pytest.mark.parametrize("case", cases("vert_orient_weights", HERE), ids=str)
def test_soft_weights_equal_the_published_ones(case):
    joints = case.tensor("joints").double().requires_grad_()
    limbs, bins, sharpness = case.tensor("vertex_to_part").long(), case.params["n_orient"], case.params["theta"]
    case.check("vert_orient_weights", kernel_orientation_weights(joints, limbs, bins, sharpness))
    parts = orientation_weights(limb_directions(joints), bins, sharpness)
    case.check("part_weights", parts)
    if bins > 1:
        # The published gradient is of the sum of (1 + part + 1 + bin) times the weight.
        scale = torch.arange(1, 10)[:, None] + torch.arange(1, bins + 1)
        (gradient,) = torch.autograd.grad((parts * scale).sum(), joints)
        case.check("grad_joints_of_sum_k_part_plus_c", gradient)


@pytest.mark.parametrize("case", cases("vert_orients_hard", HERE), ids=str)
def test_hard_labels_equal_the_published_ones(case):
    joints, limbs = case.tensor("joints"), case.tensor("vertex_to_part").long()
    case.check("vert_orients", kernel_orientation_labels(joints, limbs, case.params["n_orient"]))
    torch.testing.assert_close(
        limb_directions(joints), torch.from_numpy(case.outputs["part_orients"]), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("bins", [1, 2, 3, 4, 8])
def test_the_label_is_the_heaviest_bin_and_weights_sum_to_one(bins):
    directions = torch.nn.functional.normalize(
        torch.randn(200, 3, generator=torch.Generator().manual_seed(0)), dim=-1
    ).double()
    weights = orientation_weights(directions, bins, sharpness=200.0)
    assert (weights.argmax(-1) == orientation_labels(directions, bins)).float().mean() > 0.98
    torch.testing.assert_close(weights.sum(-1), torch.ones(200, dtype=torch.float64), atol=1e-6, rtol=0)


@pytest.mark.parametrize("bins", [2, 3, 5])
def test_weights_are_differentiable(bins):
    keypoints = torch.randn(1, 25, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    limbs = torch.arange(9)
    assert torch.autograd.gradcheck(lambda k: kernel_orientation_weights(k, limbs, bins), (keypoints.requires_grad_(),))


def test_a_limb_without_length_gives_no_nan():
    keypoints = torch.zeros(2, 25, 3, requires_grad=True)
    weights = kernel_orientation_weights(keypoints, torch.arange(9), 3)
    weights.sum().backward()
    assert weights.isfinite().all() and keypoints.grad.isfinite().all()


@pytest.mark.wrong_shapes
def test_wrong_inputs_are_named():
    with pytest.raises(ShapeError, match="keypoints"):
        limb_directions(torch.zeros(2, 24, 3))
    with pytest.raises(ValueError, match="orientations"):
        orientation_labels(torch.zeros(2, 3), 0)
