"""What stands beside the solver: points on the surface, anchors as loose as the start is wrong, outlines, flips."""

from __future__ import annotations

from dataclasses import replace

import pytest
import roma
import torch
import torch.nn.functional as F
from correspondence_fakes import BODY, fitter, joint_error, scene

from nbf_fitters.correspondence.anchors import rescaled
from nbf_fitters.correspondence.chunk import ChunkFit
from nbf_fitters.correspondence.flips import better, flipped, strains
from nbf_fitters.correspondence.hidden import outlined
from nbf_fitters.correspondence.matching import onto_surface
from nbf_fitters.correspondence.problem import to_state
from nbf_fitters.correspondence.records import Schedule, Solution
from nbf_fitters.correspondence.reference import normal_matrix, pose

KNEE = BODY.spec.joint_names.index("left_knee")
SCALES = Schedule([1.0], [6.0], [0], 0.0)


@pytest.fixture(scope="module")
def fitted():
    """Two people's problem, the truth, and the tables."""
    truth, observation, start = scene(2)
    work = ChunkFit(fitter()._setting(observation), observation, start, torch.zeros(2, dtype=torch.bool))
    problem, solution = work.run()
    return problem, solution, to_state(truth), work.setting.tables


def test_points_are_moved_onto_the_surface_along_its_normal():
    around = torch.tensor([[[0.0, 0, 1, 0, 0, 1], [5, 0, 1, 1, 0, 0]]])
    moved = onto_surface(torch.tensor([[0.3, 0.2, 0.4]]), around)
    torch.testing.assert_close(moved, torch.tensor([[0.3, 0.2, 1.0]]))
    assert torch.equal(onto_surface(moved, around[:, :0]), moved)


def test_a_start_that_proves_right_is_held_and_one_that_proves_wrong_is_not(fitted):
    problem, solution, _, _ = fitted
    state = solution.state
    matrix = normal_matrix(problem, state, SCALES)
    turn = torch.tensor([0.5, -0.4, 0.3], dtype=torch.float64)
    wrong = roma.rotvec_to_rotmat(turn).expand_as(state.rotations) @ state.rotations
    right = rescaled(problem.prior._replace(rotations=state.rotations, betas=state.betas), state, matrix, (0.2, 2.0))
    off = rescaled(problem.prior._replace(rotations=wrong, betas=state.betas + 2), state, matrix, (0.2, 2.0))
    assert (right.anchor > problem.prior.anchor).all() and (off.anchor < right.anchor).all()
    assert (right.shape_anchor > off.shape_anchor).all() and (right.shift_anchor[:, 2] > off.shift_anchor[:, 2]).all()
    assert torch.equal(right.shift_anchor[:, :2], problem.prior.shift_anchor[:, :2])
    blind = rescaled(problem.prior, state, torch.zeros_like(matrix), (0.2, 2.0))
    assert blind.anchor.isfinite().all() and blind.shape_anchor.isfinite().all()


def test_a_part_turned_over_points_as_far_forwards_as_it_pointed_backwards(fitted):
    problem, _, state, tables = fitted
    below, joint = tables.below.double(), torch.tensor([KNEE, KNEE])

    def ahead(at):
        world = pose(problem.body, at)
        return (world.turn[:, KNEE] @ (below[KNEE] - problem.body.joints[KNEE])[:, None])[..., 0]

    over = flipped(problem, state, joint, below)
    mirror = torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
    torch.testing.assert_close(ahead(over), ahead(state) * mirror, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(over.rotations), torch.ones_like(over.rotations[..., 0, 0]))
    back = flipped(problem, over, joint, below)
    torch.testing.assert_close(back.rotations, state.rotations, atol=1e-4, rtol=0)


def test_a_part_that_points_at_the_camera_is_turned_over_too(fitted):
    problem, _, state, tables = fitted
    below = tables.below.double()
    world = pose(problem.body, state)
    bone = F.normalize(below[KNEE] - problem.body.joints[KNEE], dim=-1)
    axis = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    turn = roma.rotvec_to_rotmat(F.normalize(torch.linalg.cross(bone, axis), dim=-1) * torch.acos(bone @ axis))
    rotations = state.rotations.clone()
    parent = problem.body.parents[KNEE]
    rotations[:, KNEE] = world.turn[:, parent].mT @ turn
    over = flipped(problem, state._replace(rotations=rotations), torch.tensor([KNEE, KNEE]), below)
    torch.testing.assert_close(torch.linalg.det(over.rotations), torch.ones_like(over.rotations[..., 0, 0]))
    direction = (pose(problem.body, over).turn[:, KNEE] @ bone[:, None])[..., 0]
    torch.testing.assert_close(direction, -axis.expand_as(direction), atol=1e-5, rtol=0)


def test_a_joint_turned_where_no_pixel_goes_is_the_strained_one(fitted):
    problem, _, state, _ = fitted
    calm = strains(problem, state, 1.0)
    assert (calm >= 0).all() and (calm[:, 0] == 0).all()
    bent = torch.tensor([0.9, 0.0, 0.9], dtype=torch.float64)
    rotations = state.rotations.clone()
    rotations[1, KNEE] = roma.rotvec_to_rotmat(bent) @ rotations[1, KNEE]
    cost = strains(problem, state._replace(rotations=rotations), 1.0)
    assert (cost - calm)[1].argmax() in (KNEE, BODY.spec.joint_names.index("left_ankle"))
    torch.testing.assert_close(cost[0], calm[0])
    # Without a pixel it is the turn itself that costs.
    blind = problem._replace(evidence=problem.evidence._replace(trust=problem.evidence.trust * 0))
    hidden = strains(blind, state._replace(rotations=rotations), 1.0)[1]
    assert hidden.argmax() == KNEE and hidden[KNEE] > 0.5


def test_only_the_better_fit_stays(fitted):
    _, solution, state, _ = fitted
    people = torch.tensor([1])
    one = Solution(type(state)(*(value[1:] for value in state)), solution.energy[1:] - 1, solution.trace[:, 1:])
    chosen = better(solution, one, people)
    assert torch.equal(chosen.state.rotations[1], state.rotations[1])
    assert torch.equal(chosen.state.rotations[0], solution.state.rotations[0])
    worse = better(solution, one._replace(energy=solution.energy[1:] + 1), people)
    assert torch.equal(worse.state.rotations, solution.state.rotations)


def test_an_unseen_hand_outside_is_pulled_to_the_outline_and_one_inside_is_not(fitted):
    problem, _, state, _ = fitted
    wrist = BODY.spec.joint_names.index("left_wrist")
    hand = problem.evidence.weights[..., [BODY.spec.joint_names.index(f"left_{n}") for n in ("elbow", "wrist", "hand")]]
    seen = problem.evidence._replace(trust=problem.evidence.trust * (hand.sum(-1) == 0))
    hidden = problem._replace(evidence=seen)
    joints = (wrist,)
    points = problem.points._replace(
        combination=problem.points.combination[-1:], place=state.shift[:, None, :2] * 0, trust=state.shift[:, :1] * 0
    )
    hidden = hidden._replace(points=points)
    inside, _ = outlined(hidden, state, joints, 0.2, 0.1)  # pixels so small that nothing is outside
    assert not inside.trust.any()
    outside, who = outlined(hidden, state, joints, 0.2, 2.0)
    rows = outside.trust[:, 0] > 0
    assert torch.equal(rows, who)
    distance = torch.cdist(outside.place[rows], seen.place[rows]).amin(-1)
    assert not len(distance) or distance.max() < 1e-9


def test_features_of_little_trust_come_after_keypoints():
    truth, observation, start = scene(2, degrees=15)
    generator = torch.Generator().manual_seed(3)
    chance = F.normalize(torch.randn(observation.features.shape, generator=generator), dim=1)
    silent = fitter(trust=0.0).fit(observation, start)
    unsound = fitter(trust=0.1).fit(replace(observation, features=chance.to(observation.features)), start)
    assert unsound.kept.all()
    errors = [joint_error(result.params, truth).mean() for result in (unsound, silent)]
    assert errors[0] < errors[1] + 0.01
    good = fitter(trust=0.3).fit(observation, start)
    assert joint_error(good.params, truth).mean() < errors[1] + 1e-3
