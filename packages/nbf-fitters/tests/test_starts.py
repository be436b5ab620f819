"""Alignment and starts."""

import math
from dataclasses import replace

import pytest
import roma
import torch
from fitting_fakes import FixedBank, StickBody, disturb, observe, people

from nbf_fitters.alignment import align_rigid, align_translation
from nbf_fitters.starts import aligned, make_starts, placed, two_sided
from nbf_fitters.terms import anchor_cost
from nbf_fitters.variables import BodyVariables

BODY = StickBody()


def scene(count=3):
    truth, camera = people(count)
    return truth, observe(BODY, FixedBank(BODY), truth, camera)


def error(params, observation):
    points = BODY.keypoints(BODY(params), "openpose-25")
    return (observation.camera.project(points) - observation.keypoints[..., :2]).norm(dim=-1).mean(-1)


def test_translation_is_found_in_closed_form_from_anywhere():
    truth, observation = scene()
    lost = replace(truth, transl=truth.transl * 0 + torch.tensor([2.0, -1.0, 3.0]))
    torch.testing.assert_close(placed(lost, BODY, observation).transl, truth.transl, atol=1e-5, rtol=0)


def test_translation_stays_where_keypoints_are_too_few():
    truth, observation = scene()
    points = BODY.keypoints(BODY(truth), "openpose-25")
    few = observation.keypoints.clone()
    few[:, 3:, 2] = 0
    assert (align_translation(points, truth.transl, few, observation.camera) == truth.transl).all()
    assert (align_translation(points, truth.transl, few * 0, observation.camera) == truth.transl).all()


def test_rigid_alignment_recovers_a_turn():
    truth, observation = scene()
    turn = torch.tensor([0.2, -0.4, 0.3], dtype=torch.float64).expand(3, 3)
    turned = replace(truth, global_orient=roma.rotvec_composition([turn, truth.global_orient]))
    output = BODY(turned)
    points = BODY.keypoints(output, "openpose-25")
    found, place, cost = align_rigid(points, output.joints[:, 0], observation.keypoints, observation.camera, 5.0, 30)
    assert cost.max() < 1e-6
    torch.testing.assert_close(found, -turn, atol=1e-3, rtol=0)
    torch.testing.assert_close(place, truth.transl, atol=1e-2, rtol=0)


def test_a_body_turned_away_is_turned_back():
    truth, observation = scene()
    half = torch.tensor([0.0, 0.9 * math.pi, 0.0], dtype=torch.float64).expand(3, 3)
    start = disturb(replace(truth, global_orient=roma.rotvec_composition([truth.global_orient, half])), 5)
    found = aligned(start, BODY, observation)
    assert error(found, observation).max() < 0.35 * error(placed(start, BODY, observation), observation).min()


def test_the_twin_looks_alike_with_left_and_right_exchanged():
    truth, observation = scene()
    far = replace(truth, transl=truth.transl * torch.tensor([0.0, 0.0, 100.0]))  # on the optical axis
    twin = two_sided(far, BODY.spec.mirror_joints)
    joints, mirrored = BODY(far).joints, BODY(twin).joints[:, list(BODY.spec.mirror_joints)]
    torch.testing.assert_close(mirrored[..., :2], joints[..., :2], atol=1e-6, rtol=0)
    depth = (joints - joints[:, :1])[..., 2]
    torch.testing.assert_close((mirrored - mirrored[:, :1])[..., 2], -depth, atol=1e-6, rtol=0)
    back = two_sided(twin, BODY.spec.mirror_joints)
    assert anchor_cost(back, far).max() < 1e-9


@pytest.mark.parametrize("place", [(0.0, 0.0, 500.0), (200.0, 0.0, 400.0), (-150.0, 100.0, 400.0)])
def test_the_twin_looks_alike_wherever_in_the_photo_the_person_stands(place):
    """A telephoto view of somebody beside the optical axis: the twin projects to the same points."""
    truth, observation = scene()
    camera = replace(observation.camera, focal=observation.camera.focal * 100)
    far = replace(truth, transl=truth.transl.new_tensor(place).expand(3, 3))
    twin = two_sided(far, BODY.spec.mirror_joints)
    seen = camera.project(BODY(far).joints)
    mirrored = camera.project(BODY(twin).joints[:, list(BODY.spec.mirror_joints)])
    size = (seen - seen[:, :1]).norm(dim=-1).max()
    assert (mirrored - seen).norm(dim=-1).max() < 0.01 * size
    assert anchor_cost(two_sided(twin, BODY.spec.mirror_joints), far).max() < 1e-9


def test_without_keypoints_nothing_is_aligned():
    truth, observation = scene()
    starts = make_starts(("estimate", "aligned", "two-sided"), truth, BODY, observation, False)
    assert list(starts) == ["estimate", "two-sided"] and starts["estimate"] is truth


def test_variables_begin_at_the_base_and_scale_without_shifting():
    truth, observation = scene()
    variables = BodyVariables(truth, ("orientation", "translation", "body_pose", "betas"), torch.ones(3))
    begun = variables.params()
    assert anchor_cost(begun, truth).max() < 1e-9
    torch.testing.assert_close(begun.transl, truth.transl)
    with torch.no_grad():
        variables.steps[:, 5] = 0.1
    before = observation.camera.project(truth.transl[:, None])
    torch.testing.assert_close(observation.camera.project(variables.params().transl[:, None]), before)
    with torch.no_grad():
        variables.steps[:, 5] = -9
    torch.testing.assert_close(variables.params().transl[:, 2], torch.ones(3, dtype=torch.float64))
