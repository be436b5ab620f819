"""Whatever comes in: a flagged result, never an exception that loses the batch, never a NaN out."""

import math
from dataclasses import replace

import pytest
import torch
from fitting_fakes import DenseRenderer, FixedBank, StickBody, disturb, observe, people
from odd_people import ODD, UNUSABLE, all_hidden, finite, spoiled

from nbf_core.types import BodyParams
from nbf_fitters.config import SmplifyConfig, StagedConfig
from nbf_fitters.staged import StagedFitter

BODY = StickBody()
BANK = FixedBank(BODY)
SHORT = {"parameters": ["orientation", "translation", "body_pose", "betas"], "steps": 3}


def fitter(kind=StagedConfig, **changes):
    config = kind(**{"priors": {}, "start_stage": SHORT, "stages": [SHORT], **changes})
    return StagedFitter(config, BODY, DenseRenderer(), BANK, {})


def scene(count=3):
    truth, camera = people(count)
    return observe(BODY, BANK, truth, camera), disturb(truth, 10)


def odd_people():
    """One person for each oddity."""
    return spoiled(*scene(len(ODD)), BANK)


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
