"""The points that metrics compare: SMPL's joints by name, and annotated joints where no body is known."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from nbf_core.conventions import H36M_17, SMPL_24
from nbf_core.errors import ConfigError, InputError
from nbf_core.types import Camera, Sample
from nbf_run.bench.points import own_joints, true_points


def body(names):
    return SimpleNamespace(spec=SimpleNamespace(name="made-up", joint_names=names))


def test_the_24_joints_are_found_by_their_names():
    fingers = tuple(
        f"{side}_{finger}{n}" for side in ("left", "right") for finger in ("index", "middle") for n in (1, 2)
    )
    names = (*SMPL_24[:22], "jaw", *fingers)
    found = own_joints(body(names))
    assert found[:22] == list(range(22)) and [names[i] for i in found[22:]] == ["left_middle1", "right_middle1"]
    assert own_joints(body(SMPL_24[::-1])) == list(range(23, -1, -1))
    with pytest.raises(ConfigError, match="body made-up: has no joint left_knee"):
        own_joints(body(tuple(name for name in SMPL_24 if name != "left_knee")))


def sample(confidence):
    joints = torch.cat([torch.randn(2, 17, 3), confidence.expand(2, 17)[..., None]], -1)
    return Sample(
        image=torch.zeros(2, 3, 8, 8, dtype=torch.uint8), camera=Camera.from_field((8, 8), 9.0, 2),
        index=torch.arange(2), joints=joints,
    )  # fmt: skip


def test_annotated_joints_are_truth_in_3d_alone():
    points = true_points(None, sample(torch.ones(17)), "lsp-14")
    assert points.joints.shape == (2, 14, 3) and points.keypoints is None and points.vertices is None


def test_joints_that_nobody_annotated_are_not_measured_against():
    confidence = torch.ones(17)
    confidence[H36M_17.index("spine")] = 0
    assert true_points(None, sample(confidence), "lsp-14").joints.shape == (2, 14, 3)
    with pytest.raises(InputError, match="lacks true joints: spine"):
        true_points(None, sample(confidence), "lsp-17")
    with pytest.raises(InputError, match="no true body"):
        true_points(None, sample(confidence))
