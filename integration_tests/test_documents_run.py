"""The Python of the written pages runs as it is printed, on small data and with few steps.

docs/writing-a-plugin.md has a test of its own, which also follows its commands.
"""

import contextlib
import io
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

import nbf_run as orchestrator
from nbf_core.errors import PluginError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from documents import PAGES, fenced, name  # noqa: E402

WITH_PYTHON = [page for page in PAGES if fenced(page, "python") and page.name != "writing-a-plugin.md"]
SMALLER = {"size=1000": "size=4", "workers=2": "workers=1"}
SHORT = [("fitter.starts", ["estimate"]), ("fitter.stages.0.steps", 2), ("fitter.stages.1.steps", 2),
         ("fit.max_people", 1)]  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory, nbf_run, photos, quick):
    """What the pages take for granted: a photo, the folder of a fit, a body in SMPL's files."""
    folder = tmp_path_factory.mktemp("world")
    shutil.copy(photos / "walk_front.jpg", folder / "photo.jpg")
    for words in (
        ["fit", "demo", folder / "photo.jpg", "--trace", "--out", folder / "run", *quick],
        ["model", "export", "anny", folder / "data" / "body_models", "--layout", "smpl"],
    ):
        done = nbf_run(*words)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name)
def test_the_python_of_a_page_runs(page, world, untrained, tmp_path, monkeypatch):
    for path in world.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    load = orchestrator.load
    short = [*SHORT, ("regressor.weights", str(untrained))]
    monkeypatch.setattr(
        orchestrator, "load", lambda source, settings=(): load(source, [*settings, *short]), raising=False
    )
    state = torch.get_rng_state()
    names = {"__name__": "page"}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            for number, text in enumerate(fenced(page, "python")):
                for words, fewer in SMALLER.items():
                    text = text.replace(words, fewer)
                exec(compile(text, f"{name(page)}, block {number}", "exec"), names)
    except ModuleNotFoundError as error:
        if (error.name or "nbf_").startswith("nbf_"):
            raise
        pytest.skip(f"{error.name} is not installed")
    except PluginError as error:  # it says what to install
        if "pip install" not in str(error):
            raise
        pytest.skip(str(error))
    finally:
        torch.set_rng_state(state)


def test_what_a_page_trains_on_can_be_trained_on(tmp_path, nbf_run):
    """docs/train-your-own.md: its file of labels, checked and trained on with its pipeline for a step."""
    page = next(page for page in PAGES if page.name == "train-your-own.md")
    here = os.getcwd()
    try:
        os.chdir(tmp_path)
        exec(compile(fenced(page, "python")[0], name(page), "exec"), {"__name__": "page"})
    finally:
        os.chdir(here)
    pipeline = fenced(page, "toml")[0].replace('"people.npz"', f'"{tmp_path}/people.npz"')
    pipeline = pipeline.replace('images = "photos"', f'images = "{tmp_path}/photos"')
    (tmp_path / "mine.toml").write_text(pipeline, encoding="utf-8")
    fewer = ("steps=1", "batch_size=2", "validation_samples=2", "validate_every=1", "workers=0", "warmup=1")
    settings = [part for one in fewer for part in ("--set", f"train.{one}")]
    assert nbf_run("data", "check", tmp_path / "people.npz", "--images", tmp_path / "photos").returncode == 0
    done = nbf_run("train", tmp_path / "mine.toml", "--out", tmp_path / "runs", "--set", "bank.hold=0", *settings)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "model.safetensors").is_file()
