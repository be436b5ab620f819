"""``bench`` on made-up components: what is measured, what is written, what one bad sample costs."""

from __future__ import annotations

import csv
import json
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import nbf_metrics.plugin
from nbf_core.config import Config
from nbf_core.conventions import H36M_17, SMPL_24
from nbf_core.errors import ConfigError, InputError, PluginError
from nbf_core.plugins import ComponentEntry, PluginManager, hookimpl
from nbf_core.types import BodyOutput, BodyParams, Camera, FitResult, RegressorOutput, Sample
from nbf_core.weights import save_weights
from nbf_run.bench import bench, print_report
from nbf_run.bench.summary import compare, summarise

FAKES = "nbf_run_bench_fakes"
sys.modules[FAKES] = sys.modules[__name__]

REST = torch.randn(24, 3, generator=torch.Generator().manual_seed(0)) * 0.4
CAMERA = Camera.from_field((32, 32), 60.0)


class Empty(Config):
    pass


class RegressorConfig(Config):
    weights: str | None = None


class FitterConfig(Config):
    push: float = 0.0


class DataConfig(Config):
    size: int = 5
    patch_size: int = 0
    bad: tuple[int, ...] = ()
    untrue: tuple[int, ...] = ()


class Body(nn.Module):
    """24 joints that are vertices and kernels too; the pose moves each joint by itself."""

    def __init__(self, config):
        super().__init__()
        pick = torch.zeros(17, 24)
        for i, name in enumerate(H36M_17):
            pick[i, SMPL_24.index(name) if name in SMPL_24 else i] = 1
        self.spec = SimpleNamespace(
            name="dots", kernel_rest=REST, keypoint_weights={"h36m-17": pick}, parents=(-1, *range(23))
        )

    def forward(self, params, vertices=True):
        moved = torch.cat([torch.zeros_like(params.global_orient)[:, None], params.body_pose], 1)
        points = REST + moved + params.transl[:, None]
        return BodyOutput(points, points[:, :0], points, points if vertices else None)

    def keypoints(self, output, name):
        return self.spec.keypoint_weights[name] @ output.joints


class Renderer:
    def __init__(self, config):
        pass


class Bank(nn.Module):
    def __init__(self, config, spec, channels):
        super().__init__()
        self.features = nn.Parameter(torch.eye(25)[:24, None])

    def clutter(self, centers=1):
        return torch.eye(25)[24:]


class Regressor(nn.Module):
    """Sees the rest pose in everything, and features of kernel 0 everywhere."""

    channels, image_size, map_size = 25, 32, 4

    def __init__(self, config, spec):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images):
        b = len(images)
        if (images == 0).all(-1).all(-1).all(-1).any():
            raise RuntimeError("a black picture")
        features = torch.zeros(b, 25, 4, 4)
        features[:, 0] = 2
        rotations = torch.eye(3).expand(b, 24, 3, 3)
        weak = torch.tensor([1.0, 0, 0]).expand(b, 3)
        return RegressorOutput(rotations, torch.zeros(b, 10), weak, features, torch.zeros(b, 25, 4, 4))


class Fitter:
    """Pushes every joint sideways, and remembers what it was handed."""

    seen: list = []

    def __init__(self, config, body, renderer, bank, priors, trust):
        self.push, self.trust = config.push, trust

    def fit(self, observation, start):
        Fitter.seen.append((self.trust, observation.keypoints is not None, self.push))
        pose = start.body_pose + torch.tensor([self.push, 0, 0])
        b = len(pose)
        params = BodyParams(start.global_orient, pose, start.betas, start.transl)
        flat = torch.zeros(b)
        kept = torch.ones(b, dtype=torch.bool)
        return FitResult(params, start, flat, flat + 1, kept, torch.zeros(b, 4, 4), torch.zeros(b, 4, 4) > 0)


class Data:
    """True bodies are pushed 5 cm sideways."""

    def __init__(self, config, body):
        self.config = config

    def __len__(self):
        return self.config.size

    def __getitem__(self, index):
        if index in self.config.bad:
            raise OSError("the disk is full")
        params = BodyParams.neutral()
        params.body_pose[:, 0] = 0.05
        params.transl[2] = 4
        visible = torch.ones(24)
        visible[12:] = 0 if self.config.patch_size else 1
        image = torch.full((3, 32, 32), 0 if index in self.config.untrue else 9, dtype=torch.uint8)
        return Sample(
            image=image,
            camera=CAMERA,
            index=torch.tensor(index),
            params=params,
            detected=torch.ones(25, 3),
            visible_joints=visible,
            kernel_map=torch.zeros(4, 4, dtype=torch.long),
        )


class Plugin:
    NBF_CONTRACT = 1

    @staticmethod
    def _entry(target, config):
        return [ComponentEntry(name="fake", target=f"{FAKES}:{target}", config=f"{FAKES}:{config}", summary="")]

    @hookimpl
    def nbf_body_models(self):
        return self._entry("Body", "Empty")

    @hookimpl
    def nbf_renderers(self):
        return self._entry("Renderer", "Empty")

    @hookimpl
    def nbf_feature_banks(self):
        return self._entry("Bank", "Empty")

    @hookimpl
    def nbf_regressors(self):
        return self._entry("Regressor", "RegressorConfig")

    @hookimpl
    def nbf_fitters(self):
        return self._entry("Fitter", "FitterConfig")

    @hookimpl
    def nbf_datasets(self):
        return self._entry("Data", "DataConfig")


PIPELINE = """
schema = 1
seed = 3
[body]
use = "fake"
[renderer]
use = "fake"
[bank]
use = "fake"
[regressor]
use = "fake"
weights = "WEIGHTS"
[fitter]
use = "fake"
push = 0.02
[data]
use = "fake"
[bench]
samples = 4
batch = 3
resamples = 50
[[bench.cases]]
name = "clean"
[[bench.cases]]
name = "patch"
set = { "data.patch_size" = 8 }
[[bench.methods]]
name = "start"
fit = false
[[bench.methods]]
name = "both"
[[bench.methods]]
name = "features only"
keypoints = false
trust = 1.0
set = { fitter = { push = 0.04 } }
[[bench.methods]]
name = "from truth"
start = "truth"
"""


@pytest.fixture
def pipeline(tmp_path, monkeypatch):
    """A pipeline file, with the fakes and the metrics as the only plugins."""
    manager = PluginManager()
    manager.register(Plugin(), "fakes")
    manager.register(nbf_metrics.plugin, "nbf-metrics")
    assert not manager.failures
    for module in ("nbf_run.options", "nbf_run.build", "nbf_run.bench.points", "nbf_core.weights"):
        monkeypatch.setattr(f"{module}.get_plugin_manager", lambda: manager)
    weights = tmp_path / "fake.safetensors"
    tensors = {"regressor.scale": torch.ones(1), "bank.features": torch.eye(25)[:24, None]}
    save_weights(weights, tensors, {"quality": {"correct_side": 0.825}})
    path = tmp_path / "fake.toml"
    path.write_text(PIPELINE.replace("WEIGHTS", str(weights)))
    Fitter.seen.clear()
    return path


def method(report, case: str, name: str) -> dict:
    found = next(one for one in report["cases"] if one["name"] == case)
    return next(one for one in found["methods"] if one["name"] == name)


def test_methods_are_measured_in_every_case(pipeline, tmp_path):
    report = bench(pipeline, tmp_path / "out")
    expected = {"start": 50, "both": 30, "features only": 10, "from truth": 20}
    for case in ("clean", "patch"):
        for name, distance in expected.items():
            found = method(report, case, name)["metrics"]["mpjpe"]["all"]
            assert found["n"] == 4
            # The pelvis does not move: 23 of 24 joints are off.
            assert found["mean"] == pytest.approx(distance * 23 / 24, rel=1e-4)
            assert found["low"] == pytest.approx(found["high"])


def test_visible_joints_are_told_apart(pipeline, tmp_path):
    report = bench(pipeline, tmp_path / "out")
    metrics = method(report, "patch", "start")["metrics"]
    assert metrics["mpjpe"]["visible"]["mean"] == pytest.approx(50 * 11 / 12, rel=1e-4)
    assert set(metrics["pve"]) == {"all"}
    assert set(metrics["pckh"]) == {"all", "visible"}


def test_each_method_gets_what_it_asks_for(pipeline, tmp_path):
    bench(pipeline, tmp_path / "out", [("bench.samples", 1)])
    # What correct_side = .825 deserves: half the way up, to the power of 1.5.
    deserved = pytest.approx(0.5**1.5)
    clean = [(deserved, True, 0.02), (1.0, False, 0.04), (deserved, True, 0.02)]
    assert Fitter.seen == clean * 2


def test_fits_are_compared_with_their_start_person_by_person(pipeline, tmp_path):
    report = bench(pipeline, tmp_path / "out")
    assert report["reference"] == "start"
    against = method(report, "clean", "both")["against_reference"]["mpjpe"]["all"]
    assert against["mean"] == pytest.approx(-20 * 23 / 24, rel=1e-4)
    assert against["better"] == 1
    assert "against_reference" not in method(report, "clean", "from truth")


def test_correspondence_quality_is_reported_per_case(pipeline, tmp_path):
    quality = bench(pipeline, tmp_path / "out")["cases"][0]["correspondence"]
    assert quality["correct_side"] == quality["within_10cm"] == quality["body_found"] == 1


def test_the_report_is_written_for_programs_and_for_people(pipeline, tmp_path, capsys):
    report = bench(pipeline, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    with (tmp_path / "out" / "samples.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 4 * 4
    assert float(rows[0]["mpjpe all"]) == pytest.approx(50 * 23 / 24, abs=1e-3)
    words = (tmp_path / "out" / "report.md").read_text()
    for part in (
        "## clean",
        "## patch (data.patch_size = 8)",
        "| features only | 9.6 [9.6, 9.6] |",
        "Visible joints only",
        "Correspondence",
    ):
        assert part in words
    assert (tmp_path / "out" / "chart.png").read_bytes().startswith(b"\x89PNG")
    print_report(report)
    assert "features only" in capsys.readouterr().out


def test_a_bad_sample_costs_only_itself(pipeline, tmp_path):
    changes = [("data.bad", [1]), ("data.untrue", [2])]
    report = bench(pipeline, tmp_path / "out", changes)
    for case in report["cases"]:
        assert [one["sample"] for one in case["failed"]] == [1, 2]
        assert "the disk is full" in case["failed"][0]["reason"]
        assert "a black picture" in case["failed"][1]["reason"]
        assert {m["metrics"]["mpjpe"]["all"]["n"] for m in case["methods"]} == {2}
    assert report["failed"] == 4


def test_nothing_usable_is_an_error_with_its_reason(pipeline, tmp_path):
    with pytest.raises(InputError, match="no sample could be used; the first: sample 0: OSError: the disk is full"):
        bench(pipeline, tmp_path / "out", [("data.bad", [0, 1, 2, 3])])


def test_progress_is_told(pipeline, tmp_path):
    heard = []
    bench(pipeline, tmp_path / "out", progress=lambda *step: heard.append(step))
    assert heard == [(case, done, 4) for case in ("clean", "patch") for done in (3, 4)]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("bench.metrics", ["mpjpee"], "mpjpe"),
        ("bench.samples", 0, "bench.samples"),
        ("bench.sampels", 4, "samples"),
        ("bench.cases.1.set", {"body.use": "other"}, "body.use: only keys of data"),
        ("bench.methods.1.set", {"bank.use": "other"}, "bank.use: only keys of fitter"),
        ("bench.cases.1.set", {"data.patch": 3}, "data.patch: unknown key"),
        ("bench.methods.1.name", "start", "'start' is given twice"),
    ],
)
def test_mistakes_in_the_section_are_named_before_anything_runs(pipeline, tmp_path, key, value, message):
    with pytest.raises((ConfigError, PluginError), match=message):
        bench(pipeline, tmp_path / "out", [(key, value)])
    assert not Fitter.seen


def test_the_built_in_pipeline_asks_for_cases_and_methods_that_exist():
    from importlib.resources import files

    from nbf_core.config.overrides import tomllib
    from nbf_run.bench.config import BenchOptions

    table = tomllib.loads((files("nbf_run") / "pipelines" / "bench.toml").read_text())
    options = BenchOptions.model_validate(table["bench"])
    assert options.samples == 100
    assert [case.name for case in options.cases] == ["clean", "patch-40", "patch-80"]
    assert [method.name for method in options.methods if method.start == "regressor"] == [
        "start", "keypoints only", "features only", "keypoints + features",
    ]  # fmt: skip


def test_intervals_hold_the_mean_and_shrink_with_people():
    values = torch.randn(400, generator=torch.Generator().manual_seed(1)).tolist()
    few, many = (summarise(values[:n], 0.95, 500, 0) for n in (25, 400))
    for found in (few, many):
        assert found["low"] < found["mean"] < found["high"]
    assert many["high"] - many["low"] == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert few["high"] - few["low"] > 2 * (many["high"] - many["low"])
    assert summarise(values, 0.95, 500, 0) == summarise(values, 0.95, 500, 0)


def test_values_that_are_no_numbers_are_counted_apart():
    found = summarise([1.0, float("nan"), 3.0], 0.95, 50, 0)
    assert (found["n"], found["nan"], found["mean"]) == (2, 1, 2)
    assert summarise([], 0.95, 50, 0)["mean"] is None


def test_differences_are_paired():
    found = compare({0: 1.0, 1: 5.0, 2: 9.0}, {0: 2.0, 1: 4.0, 3: 0.0}, True, (0.95, 50, 0))
    assert (found["n"], found["mean"], found["better"]) == (2, 0, 0.5)


def test_the_section_is_read_without_torch():
    import subprocess

    code = "import sys, nbf_run.bench.config; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
