"""Every fitter, gated or not, whatever comes in: a flagged result, never an exception, never a NaN."""

from dataclasses import replace

import pytest
import torch
from correspondence_fakes import BANK, BODY, scene
from fitting_fakes import DenseRenderer
from odd_people import (
    ODD,
    PARAMETERS,
    UNUSABLE,
    all_hidden,
    finite,
    half_outside,
    many_turns,
    nan_features,
    nan_keypoints,
    no_keypoint,
    nothing_odd,
    spoiled,
)

from nbf_fitters import build
from nbf_fitters.build_config import BuiltCorrespondenceConfig, BuiltSmplifyConfig, BuiltStagedConfig

SHORT = {"parameters": ["orientation", "translation", "body_pose", "betas"], "steps": 2}
FITTERS = {
    "staged": (build.staged, BuiltStagedConfig, {"start_stage": SHORT, "stages": [SHORT], "batch_size": 32}),
    "smplify": (build.smplify, BuiltSmplifyConfig, {"start_stage": SHORT, "stages": [SHORT], "batch_size": 32}),
    "correspondence": (build.correspondence, BuiltCorrespondenceConfig, {"min_pixels": 10}),
}


def fitter(name: str, trust: float = 1.0, gate: str = "shipped", **changes):
    make, config, settings = FITTERS[name]
    return make(config(priors={}, gate=gate, **settings, **changes), BODY, DenseRenderer(), BANK, {}, trust)


@pytest.mark.parametrize("name", FITTERS)
@pytest.mark.parametrize("trust", [0.05, 1.0])
def test_odd_people_spoil_nobody_else(name, trust):
    _, observation, start = scene(len(ODD), degrees=10)
    observation, start = spoiled(observation, start, BANK)
    result = fitter(name, trust).fit(observation, start)
    assert finite(result) and result.kept_joints.shape == (len(ODD), 24)
    assert (result.kept_joints.any(-1) == result.kept).all()
    alone = fitter(name, trust).fit(observation[[0]], start[[0]])
    torch.testing.assert_close(result.params.body_pose[0], alone.params.body_pose[0], atol=1e-5, rtol=0)
    for i, spoil in enumerate(ODD):
        if spoil in (*UNUSABLE, all_hidden):
            assert not result.kept[i], spoil.__name__
        if not result.kept[i]:
            for part in PARAMETERS:
                assert torch.equal(getattr(result.params, part)[i], getattr(result.start, part)[i]), spoil.__name__


@pytest.mark.parametrize("name", FITTERS)
def test_odd_people_are_flagged_alone_as_they_are_beside_a_healthy_one(name):
    kinds = (nothing_odd, nan_features, nan_keypoints, no_keypoint, all_hidden, half_outside, many_turns)
    _, observation, start = scene(len(kinds), degrees=10)
    observation, start = observation.clone(), start.clone()
    for i, spoil in enumerate(kinds):
        spoil(i, observation, start, BANK)
    tool = fitter(name, gate="off", starts=("estimate",))
    together = tool.fit(observation, start)
    alone = [tool.fit(observation[[i]], start[[i]]) for i in range(len(kinds))]
    assert finite(together) and all(finite(one) for one in alone)
    assert together.kept.tolist() == [bool(one.kept[0]) for one in alone]
    assert together.kept[0] and not together.kept[1] and not together.kept[kinds.index(all_hidden)]
    for part in PARAMETERS:
        healthy = getattr(alone[0].params, part)[0]
        torch.testing.assert_close(getattr(together.params, part)[0], healthy, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", FITTERS)
def test_nobody_at_all_and_nobody_seen(name):
    _, observation, start = scene(2)
    none = torch.zeros(0, dtype=torch.long)
    assert len(fitter(name).fit(observation[none], start[none]).kept_joints) == 0
    _, seen, start = scene(1)
    hidden, start = seen.clone(), start.clone()
    all_hidden(0, hidden, start, BANK)
    result = fitter(name).fit(hidden, start)
    assert not result.kept.any() and torch.equal(result.params.body_pose, start.body_pose)


@pytest.mark.parametrize("name", FITTERS)
def test_half_a_person_and_maps_of_another_size(name):
    _, observation, start = scene(1)
    half_outside(0, observation, start, BANK)
    assert finite(fitter(name).fit(observation, start))
    size = (21, 33)
    scale = torch.tensor([size[1], size[0]]) / torch.tensor(observation.camera.size[::-1])
    other = replace(
        observation,
        camera=observation.camera.resized(size),
        features=torch.nn.functional.interpolate(observation.features, size, mode="bilinear"),
        keypoints=torch.cat([observation.keypoints[..., :2] * scale, observation.keypoints[..., 2:]], -1),
    )
    result = fitter(name).fit(other, start)
    assert finite(result) and result.silhouette.shape == (1, *size)
