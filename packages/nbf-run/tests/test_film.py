"""Films: who is who, frames fitted together, and the pictures that come of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

import nbf_run
from nbf_core.errors import InputError
from nbf_core.types import Person
from nbf_run.cli.main import run
from nbf_run.film import find_frames, fit_film, follow, jitter, overlap


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

    def together(observation, start):
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


def test_the_command_writes_a_film(pipeline: Path, bright: np.ndarray, tmp_path: Path):
    for number in range(4):
        Image.fromarray(bright).save(tmp_path / f"{number}.png")
    out = tmp_path / "out"
    assert (
        run(["fit", str(pipeline), *(str(tmp_path / f"{i}.png") for i in range(4)), "--film", "--out", str(out)]) == 0
    )
    report = json.loads((out / "report.json").read_text())
    assert report["tracks"] == [{"track": 0, "frames": 4, "kept": 4, "jitter_mm": {"start": 0.0, "fit": 0.0}}]
    frames = list(ImageSequence.Iterator(Image.open(out / report["film"])))
    assert frames and frames[0].size[0] <= 640
    assert report["film"] in (out / "index.html").read_text()
