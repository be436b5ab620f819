"""A film into a run directory: frames are written as they are fitted, and an interrupted run goes on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbf_core.errors import PluginError
from nbf_run.film import MAX_GAP, Tracker, fit_frames, track_records
from nbf_run.frames import Film
from nbf_run.images import read_image
from nbf_run.journal import Journal
from nbf_run.report.animation import suffix, write_film
from nbf_run.report.run import RunDirectory
from nbf_run.stored import read_result
from nbf_run.video import VideoWriter, require_av

if TYPE_CHECKING:
    from nbf_run.fitting import LoadedPipeline
    from nbf_run.tasks import Step

SHOWN = 24
"""Frames of a film that get figures on the page; all get their numbers, arrays and overlay."""

_FEW = 300
"""Frames of an animated picture, at most: it is put together in memory."""


def fit_film_to(directory: RunDirectory, loaded: LoadedPipeline, film: Film, journal: Journal, step: Step) -> None:
    """Fit a film's frames that the journal does not know as done, and write all that the film's page shows.

    Results are those of a run that was never interrupted: whole windows are done or done again.
    """
    done = _take_up(directory, journal)
    tracker = Tracker()
    tracker.resume(_last_frames(directory, done))
    tracker.count = 1 + max((p["track"] for record in directory.records for p in record["people"]), default=-1)
    step("frames looked at", done, film.total)
    looked, every = done, max(math.ceil(film.total / SHOWN), 1) if film.total else SHOWN

    def on_photo(name: str) -> None:
        nonlocal looked
        looked += 1
        step("frames looked at", looked, max(film.total, looked))

    step("frames fitted", done, film.total)
    known = len(directory.failures)
    for end, images in fit_frames(loaded, film.frames(done), tracker, done, directory.fail, on_photo):
        folders = []
        for image in images:
            record = directory.add(image, figures=(image.frame or 0) % every == 0)
            folders.append(record["folder"])
            step("frames fitted", image.frame + 1, max(film.total, end))
        journal.add(frames=end, folders=folders, failures=directory.failures[known:])
        known = len(directory.failures)
        step("frames fitted", end, max(film.total, end))
    if directory.records:
        directory.film = _summary(directory, film)


def _take_up(directory: RunDirectory, journal: Journal) -> int:
    """Give the directory back what an earlier run finished; how many frames that are."""
    done = 0
    for entry in journal.entries:
        for folder in entry["folders"]:
            directory.restore(folder)
        directory.failures += entry["failures"]
        done = entry["frames"]
    return done


def _last_frames(directory: RunDirectory, done: int) -> list[tuple[int, Any]]:
    """The fitted frames that somebody in the next one can have been seen in."""
    near = [record for record in directory.records if record["frame"] >= done - MAX_GAP - 2]
    return [(record["frame"], read_result(directory.out / record["folder"] / "result.json")) for record in near]


def _summary(directory: RunDirectory, film: Film) -> dict[str, Any]:
    """Write the film with its bodies; what ``report.json`` says of it."""
    overlays = [directory.out / record["overlay"] for record in directory.records]
    rate = film.rate or 12.0
    try:
        require_av()
        name = "film.mp4"
        _write_video(directory.out / name, overlays, rate)
    except PluginError:  # without PyAV: an animated picture, which every browser shows too
        name = f"film{suffix()}"
        every = math.ceil(len(overlays) / _FEW)
        write_film(directory.out / name, overlays[::every], rate / every)
    return {"film": name, "rate": film.rate, "tracks": track_records(directory.records)}


def _write_video(path, overlays: Sequence, rate: float) -> None:
    with VideoWriter(path, rate) as video:
        size = None
        for file in overlays:
            picture = read_image(file)
            size = size or picture.shape
            if picture.shape == size:  # pictures given as frames may be of any size; a video has one
                video.add(picture)
