"""Training a tiny model on the synthetic people, and what a run leaves behind."""

from __future__ import annotations

import csv
import json

import pytest
import torch

from nbf_core.config import parse_override
from nbf_core.errors import AssetError, ConfigError, InputError
from nbf_core.weights import load_into, read_weights

TINY = [
    "regressor.pretrained=false", "regressor.frozen=0", "regressor.backbone=plain", "regressor.width=16",
    "regressor.hidden=32", "regressor.channels=16", "regressor.image_size=64", "regressor.map_size=32",
    "data.image_size=64", "data.map_size=32", "data.size=16", "train.batch_size=8", "train.workers=0",
    "train.threads=1", "train.validate_every=2", "train.validation_samples=4", "train.checkpoint_every=2",
    "train.precision=float32", "train.warmup=1", "bank.hold=0",
]  # fmt: skip


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    from nbf_run.training import train

    out = tmp_path_factory.mktemp("run")
    seen = []
    train("small", out, tiny("train.steps=4"), progress=lambda *what: seen.append(what))
    return out, seen


def tiny(*more: str):
    return [parse_override(text) for text in (*TINY, *more)]


def test_a_run_leaves_model_measurements_and_how_to_run_it_again(run_directory):
    out, seen = run_directory
    assert seen[-1] == ("training", 4, 4)
    rows = list(csv.DictReader((out / "validation.csv").open()))
    assert [row["step"] for row in rows] == ["2", "4"]
    assert 0 <= float(rows[-1]["within_10cm"]) <= 1 and float(rows[-1]["start_pa_mpjpe"]) > 0
    info = json.loads((out / "run.json").read_text())
    assert info["pipeline"]["table"]["train"]["steps"] == 4 and info["seed"] == 1
    assert (out / "last.ckpt").is_file()


def test_the_model_file_fits_its_pipeline_and_says_what_it_is(run_directory):
    from nbf_run.build import build_body, build_networks
    from nbf_run.options import read_pipeline

    weights = read_weights(run_directory[0] / "model.safetensors")
    assert weights.metadata["images"] == 32 and "correct_side" in weights.metadata["quality"]
    pipeline = read_pipeline("small", tiny(), needs=("body", "regressor", "bank"))
    regressor, bank = build_networks(pipeline, build_body(pipeline), weights)
    output = regressor(torch.rand(1, 3, 64, 64))
    assert output.features.shape[1] == bank.features.shape[-1] == 16
    with pytest.raises(AssetError, match="holds no critic tensors"):
        load_into(regressor, weights, "critic")


def test_resuming_goes_on_from_the_last_checkpoint(run_directory, tmp_path):
    from nbf_run.training import train

    model = train("small", tmp_path, tiny("train.steps=6"), resume=run_directory[0])
    assert read_weights(model).metadata["steps"] == 6
    steps = [row["step"] for row in csv.DictReader((tmp_path / "validation.csv").open())]
    assert steps == ["6"]


def test_the_same_seed_gives_the_same_model(run_directory, tmp_path):
    from nbf_run.training import train

    again = read_weights(train("small", tmp_path, tiny("train.steps=4")))
    for name, value in read_weights(run_directory[0] / "model.safetensors").tensors.items():
        torch.testing.assert_close(
            again.tensors[name], value, rtol=0, atol=0, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_a_directory_without_a_checkpoint_is_refused(tmp_path):
    from nbf_run.training import train

    with pytest.raises(ConfigError, match="holds no last.ckpt"):
        train("small", tmp_path / "out", tiny(), resume=tmp_path)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_samples(tmp_path):
    from nbf_run.training import train

    with pytest.raises(InputError, match="loss is not finite .* samples"):
        train("small", tmp_path, tiny("train.steps=3", "regressor.loss.total=inf"))
