"""A pipeline that names weights need not repeat what they were made with."""

from __future__ import annotations

import pytest

from nbf_core.errors import AssetError
from nbf_run import build
from nbf_run.options import read_pipeline

NEEDS = ("body", "bank", "regressor")


def networks(*overrides):
    pipeline = read_pipeline("demo", list(overrides), needs=NEEDS)
    return build.build_networks(pipeline, build.build_body(pipeline), build.pipeline_weights(pipeline))


def test_open_options_are_those_of_the_weights():
    made = build.pipeline_weights(read_pipeline("demo", [], needs=NEEDS)).metadata["table"]["regressor"]
    regressor, _ = networks()
    assert regressor.image_size == made["image_size"]
    assert regressor.config.backbone == made["backbone"]
    assert regressor.config.pretrained is False  # nothing is fetched that the weights replace


def test_an_option_that_contradicts_them_is_named_with_what_they_are_for():
    with pytest.raises(AssetError, match="does not fit the regressor.*the weights are for.*regressor.image_size = 256"):
        networks(("regressor.backbone", "plain"), ("regressor.map_size", 64), ("regressor.image_size", 128))
