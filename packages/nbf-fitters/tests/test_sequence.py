"""Films: frames of one person fitted together."""

from dataclasses import replace

import pytest
import roma
import torch
from fitting_fakes import DenseRenderer, FixedBank, StickBody, disturb, observe, people

from nbf_core.contracts import SequenceFitter
from nbf_core.types import BodyParams, Camera
from nbf_fitters.config import StagedConfig
from nbf_fitters.runs import cheapest_path
from nbf_fitters.staged import StagedFitter

BODY = StickBody()
BANK = FixedBank(BODY)
STAGES = [
    {"parameters": ["orientation", "translation"], "steps": 4},
    {"parameters": ["orientation", "translation", "body_pose", "betas"], "steps": 16, "decay": 0.1},
]


def fitter(**changes) -> StagedFitter:
    options = {"priors": {}, "starts": ["estimate"], "starts_by": "cost", "stages": STAGES, "feature_weight": 0}
    return StagedFitter(StagedConfig(**{**options, **changes}), BODY, DenseRenderer(), BANK, {})


def film(frames=6, degrees=10):
    """Somebody who goes a part of the way from pose to pose, and estimates that are off in each frame for itself."""
    ends, camera = people(2)
    share = torch.linspace(0, 0.3, frames, dtype=torch.float64)

    def between(rotations):
        first, second = (roma.rotvec_to_rotmat(end) for end in rotations)
        turn = roma.rotmat_to_rotvec(first.mT @ second)
        steps = roma.rotvec_to_rotmat(share.view(-1, *[1] * turn.ndim) * turn)
        return roma.rotmat_to_rotvec(first @ steps)

    truth = BodyParams(
        between(ends.global_orient),
        between(ends.body_pose),
        torch.full((frames, 10), 0.5, dtype=torch.float64),
        ends.transl[:1].expand(frames, 3).clone(),
    )
    camera = Camera(camera.focal[:1].expand(frames, 2), camera.center[:1].expand(frames, 2), camera.size)
    return truth, observe(BODY, BANK, truth, camera), disturb(truth, degrees)


def unsteadiness(params: BodyParams, truth: BodyParams) -> float:
    gap = BODY(params).joints - BODY(truth).joints
    gap = gap - gap[:, :1]
    return float((gap[2:] - 2 * gap[1:-1] + gap[:-2]).norm(dim=-1).mean())


def error(params: BodyParams, truth: BodyParams) -> torch.Tensor:
    joints, target = BODY(params).joints, BODY(truth).joints
    return ((joints - joints[:, :1]) - (target - target[:, :1])).norm(dim=-1).mean(-1)


@pytest.mark.parametrize("window", [32, 4])
def test_frames_fitted_together_are_steadier_and_of_one_shape(window):
    truth, observation, start = film()
    start = replace(start, betas=torch.randn(6, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    tool = fitter(sequence={"window": window})
    assert isinstance(tool, SequenceFitter)
    alone, together = tool.fit(observation, start), tool.fit_sequence(observation, start)
    assert together.kept.all() and alone.kept.all()
    assert unsteadiness(together.params, truth) < 0.65 * unsteadiness(alone.params, truth)
    assert error(together.params, truth).mean() < 1.2 * error(alone.params, truth).mean()
    assert together.params.betas.std(0).max() < 1e-9 < alone.params.betas.std(0).min()
    assert (together.start.betas == start.betas).all()


def test_a_frame_without_evidence_follows_its_neighbours():
    truth, observation, start = film(5, degrees=25)
    keypoints = observation.keypoints.clone()
    keypoints[2, :, 2] = 0
    stages = [STAGES[0], {**STAGES[1], "steps": 40}]
    tool = fitter(sequence={"smooth": 0.05}, anchor_weight=1e-3, stages=stages)
    result = tool.fit_sequence(replace(observation, keypoints=keypoints), start)
    assert result.kept.all()
    assert error(result.params, truth)[2] < 0.7 * error(start, truth)[2]


def test_a_broken_frame_is_flagged_and_ties_nobody():
    truth, observation, start = film(5)
    start.body_pose[2] = float("nan")
    result = fitter().fit_sequence(observation, start)
    assert result.kept.tolist() == [True, True, False, True, True]
    assert all(getattr(result.params, name).isfinite().all() for name in vars(result.params))


def test_a_film_without_any_evidence_comes_back():
    truth, observation, start = film(3)
    result = fitter().fit_sequence(replace(observation, keypoints=None), start)
    assert not result.kept.any()
    torch.testing.assert_close(result.params.body_pose, start.body_pose)


def test_all_frames_are_kept_or_none():
    truth, observation, start = film(4)
    assert fitter().fit_sequence(observation, truth).kept.unique().numel() == 1


def test_the_cheapest_way_through_states():
    cost = torch.tensor([[0.0, 1.0, 0.0, 0.0], [9.0, 0.0, 9.0, 9.0]])
    change = 1 - torch.eye(2)[..., None].expand(2, 2, 3)
    assert cheapest_path(cost, 0.1 * change).tolist() == [0, 1, 0, 0]
    assert cheapest_path(cost, 2.0 * change).tolist() == [0, 0, 0, 0]
    assert cheapest_path(cost[:, :1], change[..., :0]).tolist() == [0]


def test_a_single_frame_that_looks_alike_turned_round_does_not_flip_in_a_film():
    truth, observation, start = film(4, degrees=3)
    tool = fitter(starts=["estimate", "two-sided"], sequence={"smooth": 0.05})
    result = tool.fit_sequence(observation, start)
    turn = roma.rotvec_geodesic_distance(result.params.global_orient, truth.global_orient)
    assert turn.max() < 1


def test_a_film_in_pieces_is_the_film_in_windows():
    truth, observation, start = film(8)
    tool = fitter(sequence={"window": 4})
    whole = tool.fit_sequence(observation, start)
    first = tool.fit_sequence(observation[:4], start[:4])
    second = tool.fit_sequence(observation[4:], start[4:], first.params[-2:])
    torch.testing.assert_close(torch.cat([first.params.transl, second.params.transl]), whole.params.transl)
    torch.testing.assert_close(torch.cat([first.params.betas, second.params.betas]), whole.params.betas)
