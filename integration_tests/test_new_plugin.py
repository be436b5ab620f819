"""``nbf-run new-plugin`` writes packages that are found, pass their own tests and do their part in a pipeline."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from nbf_core.plugins import get_plugin_manager
from nbf_core.weights import save_weights
from nbf_run import build
from nbf_run.cli.main import run
from nbf_run.options import read_pipeline
from nbf_run.scaffold import PLUGIN_KINDS, write_plugin

SHORT = {
    "fitter.starts": ["estimate"], "fitter.stages.0.steps": 1, "fitter.stages.1.steps": 1, "fit.max_people": 1,
    "regressor.weights": None,
}  # fmt: skip
BENCH = {"bench.samples": 2, "bench.batch": 2, "bench.methods": {"start": {"fit": False}}, "bench.pictures": 0,
         "bench.devices": [], "bench.resamples": 10}  # fmt: skip


def look_installed(made, site):
    """What pip leaves of a package: its name, and the entry point by which nbf finds it."""
    folder = site / f"{made.package}-0.1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {made.distribution}\nVersion: 0.1.0\n")
    (folder / "entry_points.txt").write_text(f"[nbf]\n{made.name} = {made.package}.plugin\n")
    return [str(site), str(made.folder / "src")]


@pytest.fixture(scope="module")
def plugins(tmp_path_factory, untrained):
    """A plugin of every kind, named after it: (made, what to put on sys.path)."""
    out = tmp_path_factory.mktemp("plugins")
    made = {
        kind: write_plugin(kind, f"tried-{kind}", out, untrained if kind == "weights" else None)
        for kind in PLUGIN_KINDS
    }
    return {kind: (one, look_installed(one, out / f"site-{kind}")) for kind, one in made.items()}


@pytest.fixture
def example(plugins, monkeypatch, request):
    """One plugin, installed for this process: its example, ready to be run with further settings."""
    made, paths = plugins[request.param]
    for path in paths:
        monkeypatch.syspath_prepend(path)
    get_plugin_manager.cache_clear()
    yield made
    get_plugin_manager.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == made.package]:
        del sys.modules[name]


def settings(changes):
    return [part for key, value in changes.items() for part in ("--set", f"{key}={_toml(value)}")]


def _toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(value)


def untrained_for(source, path):
    """Weights of networks that have learned nothing, for this pipeline's body, bank and regressor."""
    pipeline = read_pipeline(source)
    torch.manual_seed(0)
    regressor, bank = build.build_networks(pipeline, build.build_body(pipeline))
    tensors = {f"regressor.{key}": value for key, value in regressor.state_dict().items()}
    tensors |= {f"bank.{key}": value for key, value in bank.state_dict().items()}
    save_weights(path, tensors, {"seed": 0, "quality": {"correct_side": 0.8}})
    return path


def test_all_are_listed_and_none_is_broken(nbf_run, plugins):
    paths = os.pathsep.join(path for _, both in plugins.values() for path in both)
    done = nbf_run("plugins", "list", "--json", PYTHONPATH=paths)
    listing = json.loads(done.stdout)
    assert listing["failures"] == []
    for kind, (made, _) in plugins.items():
        entry = listing["components"][PLUGIN_KINDS[kind].hook][made.name]
        assert entry["plugin"] == made.distribution


def test_their_own_tests_pass(plugins):
    paths = os.pathsep.join(str(made.folder / "src") for made, _ in plugins.values())
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-W", "ignore::DeprecationWarning", "-p",
         "no:cacheprovider", "--import-mode=importlib", *(str(made.folder / "tests") for made, _ in plugins.values())],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}, cwd=plugins["metric"][0].folder.parent,
        capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout


@pytest.mark.parametrize(
    "example", ["renderer", "fitter", "prior", "detector", "body-model", "feature-bank", "regressor"], indirect=True
)
def test_photos_are_fitted_with_it(example, photos, untrained, tmp_path, capsys):
    pipeline = example.folder / "example.toml"
    weights = untrained
    if example.kind in ("body-model", "feature-bank", "regressor"):
        weights = untrained_for(pipeline, tmp_path / "untrained.safetensors")
    changes = {**SHORT, "regressor.weights": str(weights)}
    if example.kind == "fitter":
        changes = {key: value for key, value in changes.items() if not key.startswith("fitter")} | {"fitter.steps": 2}
    out = tmp_path / "out"
    code = run(["fit", str(pipeline), str(photos / "walk_front.jpg"), "--out", str(out), "--json", *settings(changes)])
    told = capsys.readouterr()
    assert code == 0, told.err
    report = json.loads((out / "report.json").read_text())
    assert report["images"][0]["people"], "nobody was fitted"
    used = read_pipeline(pipeline)
    section = PLUGIN_KINDS[example.kind].section
    name = f"priors.{example.name}" if section == "priors" else section
    assert used.sections[name].use == example.name


@pytest.mark.parametrize("example", ["metric", "protocol", "dataset"], indirect=True)
def test_it_takes_part_in_a_benchmark(example, untrained, tmp_path, capsys):
    side = read_pipeline("demo").section("regressor").config.image_size
    changes = {**BENCH, "regressor.weights": str(untrained), "data.image_size": side}
    if example.kind == "dataset":
        del changes["data.image_size"]
        changes["data.path"] = str(people_of_the_demo(tmp_path / "people", side))
    out = tmp_path / "out"
    code = run(["bench", str(example.folder / "example.toml"), "--out", str(out), *settings(changes)])
    told = capsys.readouterr()
    assert code == 0, told.err
    report = (out / "report.json").read_text()
    assert example.kind == "dataset" or example.name in report


def people_of_the_demo(folder, side):
    """Two synthetic people as the files that the data set reads."""
    from nbf_data_synthetic.config import SyntheticConfig
    from nbf_data_synthetic.dataset import SyntheticPeople

    body = build.build_body(read_pipeline("demo"))
    data = SyntheticPeople(SyntheticConfig(size=2, image_size=side), body=body)
    folder.mkdir()
    for sample in (data[0], data[1]):
        labels = {"image": sample.image.permute(1, 2, 0), "focal": sample.camera.focal, "center": sample.camera.center,
                  "keypoints": sample.keypoints, "detected": sample.detected, "visible_joints": sample.visible_joints,
                  **vars(sample.params)}  # fmt: skip
        np.savez(folder / f"{int(sample.index)}.npz", **{name: np.asarray(value) for name, value in labels.items()})
    return folder


@pytest.mark.parametrize("example", ["pipeline", "weights"], indirect=True)
def test_a_file_is_meant_by_its_name(example, photos, untrained, tmp_path, capsys):
    source = example.name if example.kind == "pipeline" else str(example.folder / "example.toml")
    changes = dict(SHORT)
    if example.kind == "weights":
        del changes["regressor.weights"]
    else:
        changes["regressor.weights"] = str(untrained)
    photo = str(photos / "walk_front.jpg")
    code = run(["fit", source, photo, "--out", str(tmp_path / "out"), *settings(changes)])
    assert code == 0, capsys.readouterr().err


@pytest.mark.slow
def test_pip_installs_one(nbf_run, tmp_path):
    """The whole way, once: pip, the entry point, the listing, the tests."""
    made = write_plugin("metric", "tried", tmp_path)
    target = tmp_path / "site"
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(made.folder)], check=True, timeout=300)
    done = nbf_run("plugins", "list", "--json", PYTHONPATH=str(target))
    assert json.loads(done.stdout)["components"]["metrics"]["tried"]["plugin"] == "nbf-metric-tried"
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(made.folder / "tests")]
    subprocess.run(tests, env=os.environ | {"PYTHONPATH": str(target)}, cwd=made.folder, check=True, timeout=300)


def test_what_is_written_is_clean(plugins):
    """No warning of the linter that this repository uses, and nothing to format."""
    pytest.importorskip("ruff", reason="ruff is not installed")
    folders = [str(made.folder) for made, _ in plugins.values()]
    rules = ["--isolated", "--line-length", "120", "--target-version", "py310"]
    for command in (["check", *rules, "--select", "E,F,UP,B"], ["format", "--check", *rules]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command, *folders], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
