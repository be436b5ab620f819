"""The course of a fit drawn: chart and animation, of made-up fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

import nbf_run
from nbf_core.config import Config
from nbf_run.cli.main import run
from nbf_run.fitting import _with_history
from nbf_run.options import read_pipeline
from nbf_run.report import animation
from nbf_run.report.trace import write_trace


@pytest.fixture
def fitted(pipeline: Path, bright: np.ndarray):
    image = nbf_run.load(pipeline).fit(bright)[0]
    person = image.people[0]
    steps = np.linspace(1, 0, 12)
    trace = {"keypoints": steps, "shape": 0.1 * steps, "silent": 0 * steps, "total": 1.1 * steps}
    history = {step: person.fitted.vertices + 0.02 * (11 - step) for step in (0, 5, 11)}
    person = replace(person, trace=trace, stages=(0, 5), history=history)
    return replace(image, people=(person,)), person


def test_the_chart_is_a_picture(fitted, tmp_path: Path):
    _, person = fitted
    assert write_trace(tmp_path / "chart.png", person, "photo.png")
    picture = np.asarray(Image.open(tmp_path / "chart.png").convert("RGB"))
    assert picture.min() < 80 and (picture == 255).mean() > 0.5
    assert not write_trace(tmp_path / "none.png", replace(person, trace={}), "photo.png")
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize("suffix", [".gif", animation.suffix()])
def test_the_animation_goes_from_the_start_to_the_fit(fitted, tmp_path: Path, suffix: str):
    image, person = fitted
    path = tmp_path / f"fit{suffix}"
    assert animation.write_fit_animation(path, image, person)
    frames = [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(Image.open(path))]
    assert len(frames) == 5
    middle = [frame[150:170, 150:170].mean((0, 1)) for frame in (frames[0], frames[-1])]
    assert middle[0][0] > middle[0][2] + 20 and middle[1][2] > middle[1][0] + 20  # orange, then blue
    assert not animation.write_fit_animation(path, image, replace(person, history={}))


def test_trace_asks_the_fitter_for_its_history(pipeline: Path):
    class Keeps(Config):
        history_every: int = 0

    read = read_pipeline(pipeline)
    section = read.section("fitter")
    assert _with_history(read, 5) is read  # a fitter that cannot
    able = replace(read, sections={**read.sections, "fitter": replace(section, config=Keeps())})
    assert _with_history(able, 5).section("fitter").config.history_every == 5
    assert _with_history(able, 0) is able


def test_the_command_draws_what_there_is(pipeline: Path, photo: Path, tmp_path: Path, monkeypatch):
    import stand_ins
    import torch

    fit = stand_ins.Fitter.fit

    def traced(self, observation, start):
        result = fit(self, observation, start)
        trace = {"keypoints": torch.ones(3, 1), "total": torch.ones(3, 1)}
        return replace(result, trace=trace, stages=(0,), history={0: start, 2: result.params})

    monkeypatch.setattr(stand_ins.Fitter, "fit", traced)
    out = tmp_path / "out"
    assert run(["fit", str(pipeline), str(photo), "--trace", "--out", str(out)]) == 0
    folder = out / "photo-one"
    assert (folder / "person-1-trace.png").is_file()
    assert (folder / f"person-1-animation{animation.suffix()}").is_file()
    page = (out / "index.html").read_text()
    assert "person-1-trace.png" in page and "person-1-animation" in page
    assert run(["fit", str(pipeline), str(photo), "--out", str(tmp_path / "plain")]) == 0
    assert not list((tmp_path / "plain").rglob("*trace*"))
