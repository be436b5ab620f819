"""Whatever comes in: a flagged result, never an exception that loses the batch, never a NaN out."""

import math
from dataclasses import replace

import pytest
import torch
from fitting_fakes import DenseRenderer, FixedBank, StickBody, disturb, observe, people

from nbf_core.types import BodyParams
from nbf_fitters.config import SmplifyConfig, StagedConfig
from nbf_fitters.staged import StagedFitter

BODY = StickBody()
BANK = FixedBank(BODY)
SHORT = {"parameters": ["orientation", "translation", "body_pose", "betas"], "steps": 3}
MAPS = ("silhouette", "object_score", "clutter_score")


def fitter(kind=StagedConfig, **changes):
    config = kind(**{"priors": {}, "start_stage": SHORT, "stages": [SHORT], **changes})
    return StagedFitter(config, BODY, DenseRenderer(), BANK, {})


def scene(count=3):
    truth, camera = people(count)
    return observe(BODY, BANK, truth, camera), disturb(truth, 10)


def finite(result) -> bool:
    tensors = [result.loss, result.start_loss, *result.trace.values(), *(getattr(result, name) for name in MAPS)]
    for params in (result.params, result.start, *result.history.values()):
        tensors += [getattr(params, name) for name in ("global_orient", "body_pose", "betas", "transl")]
    return all(tensor.isfinite().all() for tensor in tensors)


def nothing_odd(i, observation, start):
    """Nothing is wrong with this one."""


def nan_features(i, observation, start):
    observation.features[i] = math.nan


def no_keypoint(i, observation, start):
    observation.keypoints[i, :, 2] = 0


def nan_keypoints(i, observation, start):
    observation.keypoints[i, ::2, 0] = math.nan


def far_keypoints(i, observation, start):
    observation.keypoints[i, :, :2] = 1e9


def all_hidden(i, observation, start):
    observation.features[i] = BANK.clutter()[0][:, None, None]
    observation.keypoints[i, :, 2] = 0


def no_features(i, observation, start):
    observation.features[i] = 0


def half_outside(i, observation, start):
    keypoints, width = observation.keypoints[i], observation.camera.size[1]
    keypoints[:, 0] += width / 2
    keypoints[:, 2] *= keypoints[:, 0] < width
    start.transl[i, 0] += 0.6


def far_away(i, observation, start):
    start.transl[i] = 1e6


def behind(i, observation, start):
    start.transl[i] = -3


def inside_the_camera(i, observation, start):
    start.transl[i] = 0


def nan_start(i, observation, start):
    start.body_pose[i] = math.nan


def endless_start(i, observation, start):
    start.transl[i] = math.inf


def many_turns(i, observation, start):
    start.body_pose[i] = 1e4
    start.global_orient[i] = -1e4


def giant(i, observation, start):
    start.betas[i] = 1e3


def flat_camera(i, observation, start):
    observation.camera.focal[i] = 1e-9


UNUSABLE = (nan_features, nan_start, endless_start)
ODD = (
    *(nothing_odd, no_keypoint, nan_keypoints, far_keypoints, all_hidden, no_features, half_outside, far_away),
    *(behind, inside_the_camera, many_turns, giant, flat_camera, *UNUSABLE, nothing_odd),
)


def odd_people():
    """One person for each oddity, those at both ends as they should be."""
    observation, start = (record.clone() for record in scene(len(ODD)))
    for i, spoil in enumerate(ODD):
        spoil(i, observation, start)
    return observation, start


@pytest.mark.parametrize("kind", [StagedConfig, SmplifyConfig])
@pytest.mark.parametrize("form", ["mixture", "soft"])
def test_odd_people_spoil_nobody_else(kind, form):
    observation, start = odd_people()
    tool = fitter(kind, likelihood={"form": form}, batch_size=len(ODD), history_every=2)
    result = tool.fit(observation, start)
    assert finite(result)
    for i in (0, len(ODD) - 1):
        alone = tool.fit(observation[[i]], start[[i]])
        torch.testing.assert_close(result.params.body_pose[i], alone.params.body_pose[0], atol=1e-6, rtol=0)
        assert result.kept[i] and alone.kept[0]
    for i, spoil in enumerate(ODD):
        if spoil in (*UNUSABLE, all_hidden):
            assert not result.kept[i], spoil.__name__
            assert (result.params.transl[i] == result.start.transl[i]).all()


def test_odd_frames_of_a_film_are_flagged():
    observation, start = odd_people()
    result = fitter(sequence={"window": 5}).fit_sequence(observation, start)
    assert finite(result)
    assert not any(result.kept[i] for i, spoil in enumerate(ODD) if spoil in UNUSABLE)
    assert result.kept[0] and len(result.kept) == len(ODD)


@pytest.mark.parametrize("size", [(9, 5), (48, 31)])
def test_maps_of_another_size(size):
    """The same view on another grid: what was fitted is about the same."""
    observation, start = scene(1)
    scale = torch.tensor([size[1], size[0]]) / torch.tensor(observation.camera.size[::-1])
    other = replace(
        observation,
        camera=observation.camera.resized(size),
        features=torch.nn.functional.interpolate(observation.features, size, mode="bilinear"),
        keypoints=torch.cat([observation.keypoints[..., :2] * scale, observation.keypoints[..., 2:]], -1),
    )
    result = fitter().fit(other, start)
    assert finite(result) and result.kept.all() and result.silhouette.shape == (1, *size)


@pytest.mark.parametrize("method", ["fit", "fit_sequence"])
def test_nobody_at_all(method):
    observation, start = scene()
    none = torch.zeros(0, dtype=torch.long)
    assert len(getattr(fitter(), method)(observation[none], start[none]).loss) == 0
    everybody_broken = BodyParams(*(torch.full_like(x, math.nan) for x in vars(start).values()))
    result = getattr(fitter(), method)(observation, everybody_broken)
    assert finite(result) and not result.kept.any()
