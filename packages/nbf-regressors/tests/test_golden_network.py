"""The published networks and the camera prior, held against ours."""

from __future__ import annotations

import pytest
import torch
from golden_weights import ARCHITECTURES, HERE, checkpoint
from stick_body import smpl_spec

from nbf_regressors.config import PareCokeConfig
from nbf_regressors.losses import camera_prior
from nbf_regressors.pare_coke import PareCoke
from nbf_testing.golden import cases


def check_map(case, name, value):
    """A whole map by its size and statistics, and the leading block of it that the case holds."""
    case.check(f"{name}_shape", torch.tensor(value.shape, dtype=torch.int32))
    whole = value.double()
    case.check(f"{name}_stats", torch.stack([whole.mean(), whole.std(correction=0), whole.abs().max()]))
    for stored, kept in ((name, value), (f"{name}_slice", value[0])):
        if stored in case.outputs:
            case.check(stored, kept[tuple(slice(n) for n in case.outputs[stored].shape)])


@pytest.mark.parametrize("case", cases("network", HERE), ids=str)
def test_golden_network(case):
    params = case.params
    weights = checkpoint(params["arch"], params["rule"], params.get("gain", 1.0))
    converted = PareCoke.from_published(weights)
    assert converted.problems == () and converted.options["backbone"] == ARCHITECTURES[params["arch"]]
    sizes = {"image_size": params["res"], "map_size": params["res"] // 4}
    regressor = PareCoke(PareCokeConfig(**converted.options | sizes), spec=smpl_spec()).eval()
    regressor.load_state_dict(dict(converted.tensors))
    # The published image is normalised already, ours is not.
    images = case.tensor("img") * regressor.backbone.std + regressor.backbone.mean
    with torch.inference_mode():
        output, maps = regressor(images), regressor.backbone(images)
        joined = regressor.decoder(maps).features
    case.check("pred_pose", output.rotations)
    case.check("pred_shape", output.betas)
    case.check("pred_cam", output.weak_camera)
    check_map(case, "coke_features", output.features)
    check_map(case, "pred_segm_mask", output.parts.roll(1, dims=1))  # there the background comes first
    # The published HRNet ends with the joined maps, ResNet with its stages.
    for i, value in enumerate([joined] if params["arch"] == "hrnet_w32" else maps[1:]):
        check_map(case, f"backbone_out{i}", value)


@pytest.mark.parametrize("case", cases("priors", HERE), ids=str)
def test_golden_camera_prior(case):
    cameras = case.tensor("cameras", requires_grad=True)
    prior = camera_prior(cameras)
    case.check("camera", prior)
    (prior * torch.arange(1, len(prior) + 1)).sum().backward()
    case.check("camera_grad", cameras.grad)
