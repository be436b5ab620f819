"""The shipped weights are what their card says, and fit the pipeline that made them."""

from __future__ import annotations

import math

import pytest
import torch

from nbf_core.config import load_pipeline
from nbf_core.plugins import get_plugin_manager
from nbf_core.weights import load_into, read_weights


@pytest.fixture(scope="module")
def weights():
    return read_weights("small")


@pytest.fixture(scope="module")
def networks(weights):
    """Regressor and bank as a user of the packages would build them, without nbf-run."""
    pipeline = load_pipeline("small-ground", [("regressor.pretrained", False)], {"train": dict_model()})
    manager = get_plugin_manager()
    body = manager.get("body_models", "anny").load()(pipeline.section("body").config)
    regressor = manager.get("regressors", "pare-coke").load()(pipeline.section("regressor").config, spec=body.spec)
    bank_class = manager.get("feature_banks", "nearest-memory").load()
    bank = bank_class(pipeline.section("bank").config, spec=body.spec, channels=regressor.channels)
    load_into(regressor, weights, "regressor")
    load_into(bank, weights, "bank")
    return regressor.eval(), bank


def dict_model():
    from pydantic import BaseModel, ConfigDict

    return type("Anything", (BaseModel,), {"model_config": ConfigDict(extra="allow")})


def test_the_file_is_small_and_says_how_it_was_made(weights):
    assert weights.path.stat().st_size < 25e6
    metadata = weights.metadata
    assert metadata["pipeline"] == "small-ground" and metadata["seed"] == metadata["table"]["seed"]
    assert metadata["steps"] == metadata["table"]["train"]["steps"]
    assert 0.5 < metadata["quality"]["correct_side"] <= 1 and 0 < metadata["quality"]["within_10cm"] <= 1


def test_the_pipeline_that_ships_is_the_one_that_made_it(weights):
    table = load_pipeline("small-ground", [], {"train": dict_model()}).table
    assert weights.metadata["table"] == {**table, "train": {**table["train"], "start_from": "last.ckpt"}}


def test_regressor_and_bank_load_and_give_numbers(networks):
    regressor, bank = networks
    with torch.inference_mode():
        output = regressor(torch.rand(2, 3, regressor.image_size, regressor.image_size))
    for value in (output.rotations, output.betas, output.weak_camera, output.features):
        assert torch.isfinite(value).all()
    length = bank.features.float().norm(dim=-1)
    torch.testing.assert_close(length, torch.ones_like(length), atol=2e-3, rtol=0)
    assert math.isfinite(float(bank.clutter().sum()))
