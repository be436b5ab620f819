"""From a regressor's output to a start and an observation, and how far features are believed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nbf_core.errors import ConfigError
from nbf_core.types import Camera, RegressorOutput
from nbf_run.crop import photo_camera
from nbf_run.estimate import Crops, look, observe, start_params
from nbf_run.trust import trust


def output(weak: list[float]) -> RegressorOutput:
    return RegressorOutput(
        rotations=torch.eye(3).repeat(1, 24, 1, 1),
        betas=torch.zeros(1, 10),
        weak_camera=torch.tensor([weak]),
        features=torch.randn(1, 4, 16, 16),
        parts=torch.zeros(1, 25, 16, 16),
    )


@pytest.mark.parametrize("x", [0.0, 500.0])
def test_the_start_lies_in_the_middle_of_the_crop_and_faces_it(x: float):
    """Wherever in the photo the crop is, a centred estimate projects to its middle, turned along its ray."""
    whole = photo_camera((720, 1280))
    box = torch.tensor([[x, 100.0, x + 400, 500.0]])
    camera = Camera(whole.focal[None], whole.center[None], whole.size).cropped(box, (128, 128))
    start = start_params(output([0.8, 0.0, 0.0]), camera)
    assert torch.allclose(camera.project(start.transl[:, None])[0, 0], torch.tensor([64.0, 64.0]), atol=1e-3)
    ray = start.transl[0] / start.transl[0].norm()
    angle = torch.arccos(ray[2].clamp(-1, 1))
    assert start.global_orient.norm() == pytest.approx(float(angle), abs=1e-3)


def test_observation_is_in_pixels_of_the_map():
    crops = Crops(
        images=torch.zeros(1, 3, 64, 64, dtype=torch.uint8),
        camera=Camera.from_field((64, 64), 100.0, 1),
        keypoints=torch.tensor([[[32.0, 64.0, 0.5]]]),
    )
    seen = observe(output([1.0, 0, 0]), crops)
    assert torch.allclose(seen.features.norm(dim=1), torch.ones(1, 16, 16))
    assert seen.camera.size == (16, 16)
    assert seen.camera.focal.tolist() == [[25.0, 25.0]]
    assert seen.keypoints.tolist() == [[[8.0, 16.0, 0.5]]]


def test_a_crop_of_the_wrong_size_is_named():
    class Network:
        image_size = 128

    crops = Crops(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), Camera.from_field((64, 64), 100.0, 1))
    with pytest.raises(ConfigError, match="128 x 128 pixels, the data gives 64 x 64"):
        look(Network(), crops)


@pytest.mark.parametrize(
    ("quality", "expected"),
    [
        (None, 0),
        ({}, 0),
        ({"correct_side": None}, 0),
        ({"correct_side": float("nan")}, 0),
        ({"correct_side": 0.5}, 0),
        ({"correct_side": 0.85}, 0.5**2.5),
        ({"correct_side": 1.0}, 1),
    ],
)
def test_trust(quality, expected: float):
    assert trust(quality) == pytest.approx(expected)


def test_trust_never_falls_with_quality():
    values = [trust({"correct_side": float(side)}) for side in np.linspace(0, 1, 50)]
    assert values == sorted(values)
