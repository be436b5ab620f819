"""Films: who is who, frames fitted together, and the pictures that come of it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

import nbf_run
from nbf_core.errors import InputError
from nbf_core.types import Person
from nbf_run import fitting
from nbf_run.cli.main import run
from nbf_run.film import find_frames, fit_film, follow, jitter, overlap
from nbf_run.frames import Cut
from nbf_run.report.run import RunDirectory
from nbf_run.tasks import fit_to
from nbf_run.video import VideoReader


def person(x: float, y: float = 0.0, side: float = 10.0) -> Person:
    return Person(np.array([x, y, x + side, y + side]), np.zeros((25, 3)), 1.0)


def places(frames: list[list[Person]]) -> list[list[tuple[int, int]]]:
    return [track.places for track in follow(frames)]


def test_overlap():
    box = np.array([0.0, 0, 10, 10])
    assert overlap(box, box) == 1
    assert overlap(box, box + 5) == pytest.approx(25 / 175)
    assert overlap(box, box + 20) == 0
    assert overlap(box * 0, box * 0) == 0


def test_two_people_keep_their_numbers_whatever_their_order():
    frames = [[person(0), person(30)], [person(31), person(1)], [person(2), person(32)]]
    assert places(frames) == [[(0, 0), (1, 1), (2, 0)], [(0, 1), (1, 0), (2, 1)]]


def test_people_come_and_go():
    frames = [[person(0)], [person(1), person(50)], [person(51)], [], [person(52)], *[[]] * 7, [person(52)]]
    tracks = follow(frames)
    assert [track.places for track in tracks] == [[(0, 0), (1, 0)], [(1, 1), (2, 0), (4, 0)], [(12, 0)]]
    assert tracks[1].pieces() == [[(1, 1), (2, 0)], [(4, 0)]]


def test_the_nearest_pair_is_matched_first():
    assert places([[person(0), person(4)], [person(3)]]) == [[(0, 0)], [(0, 1), (1, 0)]]


def test_frames_come_in_the_order_of_their_numbers(tmp_path: Path):
    for name in ("frame-10.png", "frame-2.png", "frame-1.png"):
        Image.new("RGB", (40, 40)).save(tmp_path / name)
    assert [path.name for path in find_frames([tmp_path])] == ["frame-1.png", "frame-2.png", "frame-10.png"]
    given = [tmp_path / "frame-10.png", tmp_path / "frame-1.png"]
    assert find_frames(given) == given


def test_jitter_is_zero_for_steady_movement_and_stops_at_gaps():
    frames = np.arange(5)
    joints = frames[:, None, None] * np.ones((5, 3, 3)) + np.arange(3)[:, None]
    assert jitter(joints, frames) == pytest.approx(0)
    joints[2, 1] += 0.001
    assert jitter(joints, frames) > 0.1
    assert np.isnan(jitter(joints, np.array([0, 1, 3, 4, 6])))


def test_frames_of_one_person_are_fitted_together(pipeline: Path, bright: np.ndarray):
    loaded = nbf_run.load(pipeline)
    calls = []

    def together(observation, start, before=None):
        calls.append(len(start.transl))
        return type(loaded.fitter).fit(loaded.fitter, observation, start)

    loaded.fitter.fit_sequence = together
    dark = np.zeros_like(bright)
    failures = []
    images = fit_film(loaded, [bright, bright, dark, bright], lambda name, error: failures.append(name))
    assert calls == [2, 1] and failures == ["frame-3"]
    assert [image.people[0].track for image in images] == [0, 0, 0]
    with pytest.raises(InputError, match="frame-1"):
        fit_film(loaded, [dark])


def test_a_fitter_that_knows_no_films_fits_frame_by_frame(pipeline: Path, bright: np.ndarray):
    loaded = nbf_run.load(pipeline, [("fit.batch", 2)])
    images = fit_film(loaded, [bright] * 5)
    alone = loaded.fit([bright])[0]
    assert len(images) == 5
    assert np.allclose(images[4].people[0].fitted.vertices, alone.people[0].fitted.vertices)


@pytest.mark.parametrize("with_av", [True, False])
def test_the_command_writes_a_film(
    pipeline: Path, bright: np.ndarray, tmp_path: Path, with_av: bool, monkeypatch: pytest.MonkeyPatch
):
    if with_av:
        pytest.importorskip("av", reason="PyAV (nbf-run[video]) is not installed")
    else:
        monkeypatch.setitem(sys.modules, "av", None)
    for number in range(4):
        Image.fromarray(bright).save(tmp_path / f"{number}.png")
    out = tmp_path / "out"
    frames = [str(tmp_path / f"{i}.png") for i in range(4)]
    assert run(["fit", str(pipeline), *frames, "--film", "--out", str(out)]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["tracks"] == [{"track": 0, "frames": 4, "kept": 4, "jitter_mm": {"start": 0.0, "fit": 0.0}}]
    assert report["film"] in (out / "index.html").read_text()
    if with_av:
        assert report["film"] == "film.mp4"
        assert VideoReader(out / "film.mp4").rate == pytest.approx(12)
    else:
        frames = list(ImageSequence.Iterator(Image.open(out / report["film"])))
        assert frames and frames[0].size[0] <= 640


class Moving:
    """A fitter of films that adds up: each frame's shift along x is the one before it plus a centimetre."""

    def __init__(self, fitter):
        self.fitter, self.calls = fitter, []

    def fit(self, observation, start):
        return self.fitter.fit(observation, start)

    def fit_sequence(self, observation, start, before=None):
        self.calls.append((len(start.transl), 0 if before is None else len(before.transl)))
        result = self.fitter.fit(observation, start)
        x = 0.0 if before is None else float(before.transl[-1, 0])
        shift = result.params.transl.clone()
        shift[:, 0] = x + 0.01 * torch.arange(1, len(shift) + 1)
        return replace(result, params=replace(result.params, transl=shift))


@pytest.fixture
def moving(monkeypatch: pytest.MonkeyPatch, stand_ins) -> list[Moving]:
    """Every pipeline that is loaded gets such a fitter; those made so far."""
    made, build = [], fitting.build.build_fitter

    def build_fitter(*args, **kwargs):
        made.append(Moving(build(*args, **kwargs)))
        return made[-1]

    monkeypatch.setattr(fitting.build, "build_fitter", build_fitter)
    return made


def test_a_long_film_is_fitted_in_windows_that_go_on_from_one_another(pipeline: Path, bright: np.ndarray, moving):
    loaded = nbf_run.load(pipeline, [("fit.window", 4)])
    images = fit_film(loaded, [bright] * 10)
    assert moving[0].calls == [(4, 0), (4, 2), (2, 2)]
    places = [float(image.people[0].fitted.params.transl[0]) for image in images]
    assert places == pytest.approx([0.01 * n for n in range(1, 11)])
    assert [image.frame for image in images] == list(range(10))


def test_a_window_does_not_go_on_over_a_gap(pipeline: Path, bright: np.ndarray, moving):
    loaded = nbf_run.load(pipeline, [("fit.window", 4)])
    dark = np.zeros_like(bright)
    images = fit_film(loaded, [*[bright] * 3, dark, *[bright] * 2], lambda name, error: None)
    assert moving[0].calls == [(3, 0), (2, 0)]
    assert [image.people[0].track for image in images] == [0] * 5
    assert [image.frame for image in images] == [0, 1, 2, 4, 5]


def frames_in(folder: Path, bright: np.ndarray, dark: int = 5) -> Path:
    folder.mkdir()
    for number in range(11):
        Image.fromarray(bright if number != dark else bright * 0).save(folder / f"{number}.png")
    return folder


def without_time(report: dict) -> dict:
    def clean(value):
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items() if key not in ("seconds", "page")}
        return [clean(item) for item in value] if isinstance(value, list) else value

    return clean(report)


@pytest.mark.parametrize("after", [0, 1, 5, 9])
def test_an_interrupted_film_ends_as_if_it_had_not_been(
    pipeline: Path, bright: np.ndarray, tmp_path: Path, moving, monkeypatch: pytest.MonkeyPatch, after: int
):
    frames = frames_in(tmp_path / "frames", bright)
    overrides = [("fit.window", 4)]
    whole = fit_to(tmp_path / "whole", pipeline, [frames], overrides, film=True)
    add, written = RunDirectory.add, []

    def killed(self, image, figures=True):
        if len(written) >= after:
            raise KeyboardInterrupt
        written.append(image.name)
        return add(self, image, figures)

    monkeypatch.setattr(RunDirectory, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        fit_to(tmp_path / "broken", pipeline, [frames], overrides, film=True)
    monkeypatch.setattr(RunDirectory, "add", add)
    resumed = fit_to(tmp_path / "broken", pipeline, [frames], overrides, film=True, resume=True)
    assert without_time(resumed) == without_time(whole)
    assert resumed["summary"]["failed"] == 1
    for folder in ("0", "4", "10"):
        arrays = [np.load(tmp_path / run / folder / "person-1.npz") for run in ("whole", "broken")]
        assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0].files)
    # Pictures too, and the film of them, whether there is PyAV or not.
    for name in ("0/photo.jpg", "4/photo.jpg", "10/photo.jpg", whole["film"]):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes(), name


def test_interrupted_photos_go_on_too(pipeline: Path, bright: np.ndarray, tmp_path: Path, stand_ins):
    frames = frames_in(tmp_path / "frames", bright)
    overrides = [("fit.batch", 2)]
    whole = fit_to(tmp_path / "out", pipeline, [frames], overrides)
    journal = tmp_path / "out" / "progress.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:4]) + lines[4][:10])  # killed in the middle of a line
    (tmp_path / "out" / "9" / "result.json").unlink()
    resumed = fit_to(tmp_path / "out", pipeline, [frames], overrides, resume=True)
    assert without_time(resumed) == without_time(whole)
    assert journal.read_text().splitlines(keepends=True)[:4] == lines[:4]
    assert len(journal.read_text().splitlines()) == len(lines)


def test_only_the_same_run_is_resumed(pipeline: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = str(tmp_path / "out")
    assert run(["fit", str(pipeline), str(photo), "--out", out]) == 0
    capsys.readouterr()
    for arguments, words in (
        ([str(photo), "--resume", out, "--set", "fit.batch=3"], "pipeline.fit = nothing, this one"),
        ([str(photo), str(photo), "--resume", out], "its run had inputs"),
        ([str(photo), "--resume", str(tmp_path / "gone")], "no run to resume here"),
        ([str(photo), "--set", "fit.frames=0:3", "--out", out], "only a film has frames"),
        ([str(photo), "--film", "--set", "fit.frames=5:3", "--out", out], "no frame is left"),
        ([str(photo), "--film", "--set", "fit.frames=a", "--out", out], "expected START:STOP:STEP"),
        ([str(photo), "--film", "--set", "fit.frames=3:", "--out", out], "fit.frames = 3::1 leaves none"),
    ):
        assert run(["fit", str(pipeline), *arguments]) in (1, 2)
        line = capsys.readouterr().err.strip()
        assert words in line and len(line.splitlines()) == 1


def test_cutting_a_film():
    assert Cut.parse("4:20:3") == Cut(4, 20, 3)
    assert Cut.parse(":7") == Cut(0, 7, 1)
    assert Cut.parse("3") == Cut(3, None, 1)
    assert Cut(4, 20, 3).count(100) == 6 == len(range(100)[4:20:3])
    assert Cut(4, 20, 3).count(9) == 2
    assert Cut(4, 20, 3).after(2) == Cut(10, 20, 3)
    assert Cut.parse(Cut(4, None, 2).text) == Cut(4, None, 2)
