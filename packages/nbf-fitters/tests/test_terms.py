"""Keypoints, anchor, depth, silhouette, smoothness. The published keypoint values are in test_golden_priors."""

import pytest
import torch
from fitting_fakes import disturb, people

from nbf_core.errors import ShapeError
from nbf_fitters.terms import (
    acceleration_cost,
    anchor_cost,
    clean_keypoints,
    depth_cost,
    geman_mcclure,
    keypoint_cost,
    silhouette_cost,
    turning_cost,
    unit_quaternions,
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
        moved = truth.map(lambda x: x * (1 + t))
        turned = turning_cost(unit_quaternions(moved), torch.arange(2))
        return anchor_cost(truth.map(lambda x: x + t), other), depth_cost(moved, other), turned

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


def test_keypoints_are_used_where_there_are_seven_or_as_published_with_a_head_among_them():
    keypoints = torch.zeros(4, 25, 3)
    keypoints[0, :7, 2] = 0.9  # nose and six
    keypoints[1, 1:15, 2] = 0.9  # no head
    keypoints[2, :6, 2] = 0.9  # six
    keypoints[3, :, 2] = 0.2  # all unsure
    assert usable_keypoints(keypoints, "openpose-25").tolist() == [True, True, False, False]
    assert usable_keypoints(keypoints, "openpose-25", needs_head=True).tolist() == [True, False, False, False]
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
    still, frames = truth.map(lambda x: x.expand(3, *x.shape[1:])), torch.arange(3)
    assert turning_cost(unit_quaternions(still), frames).abs().max() < 1e-12
    assert turning_cost(unit_quaternions(disturb(still, 10)), frames)[1:].min() > 0
    assert turning_cost(unit_quaternions(truth), frames[:1]).tolist() == [0.0]


def test_steady_movement_is_no_acceleration():
    joints = torch.arange(5.0)[:, None, None] * torch.ones(5, 4, 3)
    frames = torch.arange(5)
    assert acceleration_cost(joints, frames).abs().max() == 0
    joints[3, 1:, 0] += 0.01  # three of four one centimetre off, once
    torch.testing.assert_close(acceleration_cost(joints, frames), torch.tensor([0.0, 0, 0, 0.75, 3]), atol=1e-3, rtol=0)
    assert acceleration_cost(joints[:2], frames[:2]).tolist() == [0.0, 0.0]


def test_frames_on_both_sides_of_a_gap_do_not_know_one_another():
    joints = torch.rand(4, 2, 3)
    turns = torch.nn.functional.normalize(torch.rand(4, 5, 4), dim=-1)
    frames = torch.tensor([0, 1, 7, 8])
    assert acceleration_cost(joints, frames).tolist() == [0.0] * 4
    assert (turning_cost(turns, frames) > 0).tolist() == [False, True, False, True]


def test_silhouettes_that_agree_cost_nothing():
    mask = torch.zeros(2, 4, 4)
    mask[:, 1:3, 1:3] = 1
    other = mask.roll(1, -1)
    assert silhouette_cost(mask, mask).tolist() == [0.0, 0.0]
    torch.testing.assert_close(silhouette_cost(mask, other), torch.full((2,), 1 - 2 / 6))
    assert silhouette_cost(mask * 0, mask * 0).isfinite().all()


def test_depth_counts_as_a_share_of_itself():
    truth, _ = people(1)
    near, far = truth.clone(), truth.clone()
    near.transl[0, 2] /= 1.1
    far.transl[0, 2] *= 1.1
    torch.testing.assert_close(depth_cost(near, truth), depth_cost(far, truth))
