"""The pipeline of made-up components, and where it is told apart from what is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bench_fakes
import torch

import nbf_datasets.plugin
import nbf_metrics.plugin
from nbf_core.plugins import PluginManager
from nbf_core.weights import save_weights

PIPELINE = """
schema = 1
name = "dots"
seed = 3
[body]
use = "dots"
[renderer]
use = "dots"
[bank]
use = "dots"
[regressor]
use = "dots"
weights = "WEIGHTS"
sideways = -0.8
[fitter]
use = "dots"
push = 0.02
[data]
use = "dots"
[bench]
samples = 4
batch = 3
resamples = 50
pictures = 1
[bench.protocols.clean]
[bench.protocols.adversarial]
sizes = [80]
stride = 48
metrics = ["mpjpe", "pckh"]
[bench.methods.start]
fit = false
[bench.methods.both]
[bench.methods."features only"]
keypoints = false
trust = 1.0
set = { fitter = { push = 0.04 } }
[bench.methods."from truth"]
start = "truth"
"""

HOMES = (
    "nbf_run.options", "nbf_run.build", "nbf_run.bench.points", "nbf_run.bench.workshop", "nbf_run.bench.digests",
    "nbf_run.bench.config", "nbf_run.bench.runner", "nbf_core.weights",
)  # fmt: skip
"""The modules that ask for the plugin manager."""


def manager(*plugins: object) -> PluginManager:
    """The fakes, the real metrics and protocols, and ``plugins``: nothing else."""
    found = PluginManager()
    known = (bench_fakes, nbf_metrics.plugin, nbf_datasets.plugin, *plugins)
    for number, plugin in enumerate(known):
        found.register(plugin, f"plugin-{number}")
    assert not found.failures
    return found


def write_pipeline(folder: Path, text: str = PIPELINE) -> Path:
    """The pipeline as a file, with its weights."""
    weights = folder / "dots.safetensors"
    tensors = {"regressor.scale": torch.ones(1), "bank.features": torch.eye(25)[:24, None]}
    save_weights(weights, tensors, {"quality": {"correct_side": 0.825}})
    path = folder / "dots.toml"
    path.write_text(text.replace("WEIGHTS", weights.as_posix()))
    return path


def cell(report: dict, title: str) -> dict:
    return next(one for one in report["cells"] if one["title"] == title)


def method(report: dict, title: str, name: str) -> dict:
    return next(one for one in cell(report, title)["methods"] if one["name"] == name)


def timeless(value: Any) -> Any:
    """A report without its clocks, and without what differs between two runs of the same."""
    if isinstance(value, dict):
        return {key: timeless(one) for key, one in value.items() if key not in ("seconds", "search_seconds", "run")}
    return [timeless(one) for one in value] if isinstance(value, list) else value


def read_report(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text())
