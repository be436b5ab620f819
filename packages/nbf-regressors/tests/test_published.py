"""Published names and ours: one to one, both ways, and everything that does not fit is said."""

from __future__ import annotations

import pytest
import torch
from golden_weights import ARCHITECTURES, published_list

from nbf_regressors.pare_coke import PareCoke
from nbf_regressors.published import IGNORED, from_published, published_name, skeleton, to_published

BANK = "feature_bank."


def listed(architecture: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """What a regressor has to take over."""
    return {
        entry["name"]: (tuple(entry["shape"]), entry["dtype"])
        for entry in published_list(architecture)
        if not entry["name"].startswith(BANK) and not IGNORED.fullmatch(entry["name"])
    }


@pytest.fixture(scope="module")
def blank() -> dict[str, torch.Tensor]:
    """A checkpoint of the right names and shapes, all ones."""
    types = {"float32": torch.float32, "int64": torch.int64}
    return {
        entry["name"]: torch.ones((), dtype=types[entry["dtype"]]).expand(entry["shape"])
        for entry in published_list("resnet50")
    }


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_golden_names_and_shapes_map_one_to_one(architecture):
    backbone = ARCHITECTURES[architecture]
    ours = skeleton(backbone)
    theirs = {published_name(name, backbone): to_published(name, value) for name, value in ours.items()}
    assert len(theirs) == len(ours)
    found = {name: (tuple(value.shape), str(value.dtype).removeprefix("torch.")) for name, value in theirs.items()}
    assert found == listed(architecture)


def test_layouts_turn_there_and_back():
    for name, shape in (
        ("head.rotations", (24, 6, 256)),
        ("to_parts.weight", (25, 256, 1, 1)),
        ("to_parts.bias", (25,)),
    ):
        value = torch.rand(shape)
        assert torch.equal(from_published(name, to_published(name, value)), value)
        assert not torch.equal(to_published(name, value).flatten(), value.flatten())


def test_a_whole_checkpoint_is_used_up(blank):
    converted = PareCoke.from_published(blank)
    assert converted.problems == ()
    assert {name for name in blank if name not in converted.used} == {n for n in blank if n.startswith(BANK)}
    assert converted.options["backbone"] == "resnet50" and converted.options["decoder"] == "unet"


def test_bodies_and_half_precision_are_taken_in_stride(blank):
    halves = {name: value.half() if value.is_floating_point() else value for name, value in blank.items()}
    halves["body_model_train.v_template"] = torch.zeros(6890, 3)
    converted = PareCoke.from_published(halves)
    assert converted.problems == () and "body_model_train.v_template" in converted.used
    assert {value.dtype for value in converted.tensors.values()} == {torch.float32, torch.int64}


def test_everything_that_does_not_fit_is_said(blank):
    wrong = dict(blank)
    del wrong["backbone.layer3.2.bn2.running_var"], wrong["head.pose_mlp.weight"]
    wrong["head.shape_mlp.weight"] = torch.zeros(11, 1536)
    wrong["head.cam_mlp.bias"] = torch.tensor([0.0, torch.nan, 0.0])
    wrong["head.temperature"] = torch.tensor(2.0)
    converted = PareCoke.from_published(wrong)
    assert converted.tensors == {}
    assert set(converted.problems) == {
        "missing: backbone.layer3.2.bn2.running_var (256,)",
        "missing: head.pose_mlp.weight (1, 6, 256, 24, 1, 1)",
        "shape: head.shape_mlp.weight is (11, 1536), expected (10, 1536)",
        "values: head.cam_mlp.bias holds NaN or infinity",
        "values: head.temperature is 2.0, expected 1.0",
    }


def test_another_network_is_not_taken_for_one_of_ours():
    (problem,) = PareCoke.from_published({"encoder.weight": torch.zeros(3)}).problems
    assert "no backbone known here" in problem and "resnet50" in problem and "hrnet-w32" in problem
