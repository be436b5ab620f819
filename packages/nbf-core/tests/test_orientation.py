"""Orientation bins against the published values, and what must hold of them."""

from pathlib import Path

import numpy as np
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

GOLDEN = Path(__file__).parent / "golden"


def golden(name):
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as data:
        return {key: torch.from_numpy(data[key]) for key in data.files if data[key].dtype.kind in "fiu"}


@pytest.mark.parametrize("bins", [1, 2, 3, 5])
def test_soft_weights_equal_the_published_ones(bins):
    data = golden(f"orientw_n{bins}")
    joints = data["in__joints"].double().requires_grad_()
    limbs = data["in__vertex_to_part"].long()
    weights = kernel_orientation_weights(joints, limbs, bins)
    torch.testing.assert_close(weights.float(), data["out__vert_orient_weights"], atol=2e-6, rtol=1e-5)
    parts = orientation_weights(limb_directions(joints), bins)
    torch.testing.assert_close(parts, data["out__part_weights"].double(), atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("bins", [1, 2, 3, 5])
def test_hard_labels_equal_the_published_ones(bins):
    data = golden(f"orienth_n{bins}")
    labels = kernel_orientation_labels(data["in__joints"], data["in__vertex_to_part"].long(), bins)
    assert (labels == data["out__vert_orients"].long()).all()
    torch.testing.assert_close(limb_directions(data["in__joints"]), data["out__part_orients"], atol=1e-5, rtol=1e-5)


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
