"""Keypoints, anchor, smoothness. The published keypoint values are in test_golden_priors."""

import pytest
import torch
from fitting_fakes import disturb, people

from nbf_core.errors import ShapeError
from nbf_fitters.terms import (
    anchor_cost,
    clean_keypoints,
    geman_mcclure,
    keypoint_cost,
    smooth_cost,
    usable_keypoints,
)


def test_small_distances_count_squared_and_large_ones_saturate():
    d = torch.tensor([0.0, 1.0, 1e6])
    torch.testing.assert_close(geman_mcclure(d, 100.0), torch.tensor([0.0, 1.0, 1e4]), atol=1e-3, rtol=1e-3)


def test_gradients():
    truth, _ = people(2)
    other = disturb(truth, 30)
    projected = torch.randn(2, 25, 2, dtype=torch.float64, requires_grad=True)
    keypoints = torch.rand(2, 25, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda p: keypoint_cost(p, keypoints, 3.0, 1.2), (projected,))

    def along(t):
        return anchor_cost(truth.map(lambda x: x + t), other), smooth_cost(truth.map(lambda x: x * (1 + t)))

    assert torch.autograd.gradcheck(along, (torch.tensor(0.1, dtype=torch.float64, requires_grad=True),))


def test_a_keypoint_without_confidence_counts_for_nothing_even_when_it_is_nan():
    keypoints = torch.ones(1, 25, 3)
    keypoints[0, 3] = float("nan")
    keypoints[0, 4, 0] = float("inf")
    clean = clean_keypoints(keypoints)
    assert (clean[0, 3:5] == 0).all()
    projected = torch.full((1, 25, 2), 1.0)
    projected[0, 3] = float("inf")
    projected.requires_grad_()
    cost = keypoint_cost(projected, clean)
    cost.sum().backward()
    assert cost.item() == 0 and projected.grad.isfinite().all()


def test_keypoints_are_used_only_with_a_head_and_seven_in_all():
    keypoints = torch.zeros(4, 25, 3)
    keypoints[0, :7, 2] = 0.9  # nose and six
    keypoints[1, 1:15, 2] = 0.9  # no head
    keypoints[2, :6, 2] = 0.9  # six
    keypoints[3, :, 2] = 0.2  # all unsure
    assert usable_keypoints(keypoints, "openpose-25").tolist() == [True, False, False, False]
    with pytest.raises(ShapeError, match="openpose-26"):
        usable_keypoints(keypoints, "openpose-26")
    with pytest.raises(ShapeError, match="17"):
        usable_keypoints(keypoints, "coco-17")


def test_anchor_measures_squared_angles_and_ignores_full_turns():
    truth, _ = people(1)
    turned = truth.clone()
    turned.body_pose[0, 4] += 0.1 * torch.nn.functional.normalize(truth.body_pose[0, 4], dim=0)
    torch.testing.assert_close(anchor_cost(turned, truth).item(), 0.01, atol=1e-4, rtol=0)
    once_round = truth.clone()
    angle = truth.body_pose[0, 4].norm()
    once_round.body_pose[0, 4] *= (angle - 2 * torch.pi) / angle
    assert anchor_cost(once_round, truth).item() < 1e-9


def test_smoothness_is_zero_for_a_still_sequence():
    truth, _ = people(1)
    still = truth.map(lambda x: x.expand(3, *x.shape[1:]))
    assert smooth_cost(still).abs().max() < 1e-12
    assert smooth_cost(disturb(still, 10))[1:].min() > 0
    assert smooth_cost(truth).tolist() == [0.0]
