"""Frames of a film: who is who from frame to frame, and each person's frames fitted together."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int

from nbf_core.errors import InputError
from nbf_core.types import BodyParams, Person
from nbf_core.types.tree import stack
from nbf_run.frames import Frame, find_frames, named
from nbf_run.results import FittedImage, FittedPerson

if TYPE_CHECKING:
    from nbf_run.fitting import Job, LoadedPipeline, OnError, OnPhoto

__all__ = [
    "Track", "Tracker", "find_frames", "fit_film", "fit_frames", "follow", "jitter", "overlap", "track_records"
]  # fmt: skip

MIN_OVERLAP = 0.3
"""Boxes of one person in two frames share at least so much of their union."""

MAX_GAP = 5
"""Whoever is not seen for more frames than this is somebody new."""


@dataclass
class Track:
    """One person's appearances: (frame, which of the frame's people)."""

    places: list[tuple[int, int]] = field(default_factory=list)

    def pieces(self) -> list[list[tuple[int, int]]]:
        """The appearances in runs of consecutive frames."""
        runs: list[list[tuple[int, int]]] = []
        for place in self.places:
            if runs and runs[-1][-1][0] == place[0] - 1:
                runs[-1].append(place)
            else:
                runs.append([place])
        return runs


@dataclass(frozen=True)
class Seen:
    """Where somebody was seen last; ``params`` are the fits of up to two frames that end with that one."""

    number: int
    frame: int
    box: Float[np.ndarray, "4"]
    params: tuple[BodyParams, ...] = ()


class Tracker:
    """Who is who, frame by frame. It knows of a person only the last appearance, so a film can be taken up again."""

    def __init__(self) -> None:
        self.people: dict[int, Seen] = {}
        self.count = 0

    def step(self, frame: int, boxes: Sequence[Float[np.ndarray, "4"]]) -> list[int]:
        """The numbers of a frame's people: the boxes that overlap most with somebody's last are theirs, best first.

        Somebody without a box may come back within ``MAX_GAP`` frames; a box without somebody is a new person.
        """
        self.people = {who: seen for who, seen in self.people.items() if frame - seen.frame <= MAX_GAP + 1}
        pairs = [(overlap(seen.box, box), who, i) for who, seen in self.people.items() for i, box in enumerate(boxes)]
        names: dict[int, int] = {}
        free = set(self.people)
        for share, who, i in sorted(pairs, key=lambda pair: -pair[0]):
            if share >= MIN_OVERLAP and who in free and i not in names:
                names[i] = who
                free.discard(who)
        for i, box in enumerate(boxes):
            if i not in names:
                names[i], self.count = self.count, self.count + 1
            who = names[i]
            known = self.people.get(who)
            params = known.params if known is not None and known.frame == frame - 1 else ()
            self.people[who] = Seen(who, frame, np.asarray(box), params)
        return [names[i] for i in range(len(boxes))]

    def fitted(self, who: int, params: Sequence[BodyParams]) -> None:
        """Note what the fits of somebody's last frames gave, the very last one at the end."""
        if who in self.people:
            self.people[who] = replace(self.people[who], params=tuple(params)[-2:])

    def resume(self, frames: Iterable[tuple[int, FittedImage]]) -> None:
        """Take up a film after the frames that are fitted: at least its last ``MAX_GAP`` + 2, with their numbers."""
        for frame, image in frames:
            for person in image.people:
                who = person.track or 0
                known = self.people.get(who)
                before = known.params if known is not None and known.frame == frame - 1 else ()
                self.people[who] = Seen(who, frame, person.box, (*before, person.fitted.params)[-2:])
                self.count = max(self.count, who + 1)


def follow(frames: Sequence[Sequence[Person]]) -> list[Track]:
    """Who is who in the frames of a film, as :meth:`Tracker.step` says."""
    tracker, tracks = Tracker(), []
    for number, people in enumerate(frames):
        for i, who in enumerate(tracker.step(number, [person.box for person in people])):
            if who == len(tracks):
                tracks.append(Track())
            tracks[who].places.append((number, i))
    return tracks


def overlap(first: Float[np.ndarray, "4"], second: Float[np.ndarray, "4"]) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1)."""
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    both = float(np.prod((high - low).clip(0)))
    either = sum(float(np.prod((box[2:] - box[:2]).clip(0))) for box in (first, second)) - both
    return both / either if either > 0 else 0.0


def fit_film(
    loaded: LoadedPipeline,
    frames: Sequence[str | Path | np.ndarray],
    on_error: OnError | None = None,
    on_photo: OnPhoto | None = None,
) -> list[FittedImage]:
    """Fit everybody in consecutive frames of one film, each person's frames together.

    A frame that cannot be read or shows nobody raises InputError; with ``on_error`` it is handed there, and people
    go on behind the gap as if they had been away. A fitter that is no ``SequenceFitter`` fits frame by frame.
    """
    pieces = fit_frames(loaded, named(frames), Tracker(), on_error=on_error, on_photo=on_photo)
    return [image for _, images in pieces for image in images]


def fit_frames(
    loaded: LoadedPipeline,
    frames: Iterable[Frame],
    tracker: Tracker,
    first: int = 0,
    on_error: OnError | None = None,
    on_photo: OnPhoto | None = None,
) -> Iterator[tuple[int, list[FittedImage]]]:
    """As :func:`fit_film`, ``fit.window`` frames after the other, so that a film of any length fits into memory.

    Yields how many frames are done, the skipped ones included, and what was found in those that are new. ``tracker``
    knows who is who from the frames before number ``first``; a person's fit goes on from there.
    """
    stream, done = iter(frames), first
    while some := list(itertools.islice(stream, loaded.options.window)):
        jobs: dict[int, Job] = {}
        tracks: dict[int, Track] = {}
        before: dict[int, Sequence[BodyParams]] = {}
        for number, (name, picture) in enumerate(some, start=done):
            job = _find(loaded, name, picture, on_error)
            if on_photo is not None:
                on_photo(name)
            if job is None:
                continue
            jobs[number] = job
            known = dict(tracker.people)
            for i, who in enumerate(tracker.step(number, [person.box for person in job.people])):
                if who not in tracks and who in known and known[who].frame == number - 1:
                    before[who] = known[who].params
                tracks.setdefault(who, Track()).places.append((number, i))
        done += len(some)
        yield done, _fit_tracks(loaded, jobs, tracks, before, tracker)


def _find(loaded: LoadedPipeline, name: str, picture: Any, on_error: OnError | None) -> Job | None:
    try:
        if isinstance(picture, InputError):
            raise picture
        return loaded.find(name, picture)
    except InputError as error:
        if on_error is None:
            raise
        on_error(name, error)
        return None


def _fit_tracks(
    loaded: LoadedPipeline,
    jobs: Mapping[int, Job],
    tracks: Mapping[int, Track],
    before: Mapping[int, Sequence[BodyParams]],
    tracker: Tracker,
) -> list[FittedImage]:
    """Fit each person's runs of frames; the first run goes on from ``before`` where it touches it."""
    fitted: dict[tuple[int, int], FittedPerson] = {}
    seconds = {number: job.seconds for number, job in jobs.items()}
    for who, track in sorted(tracks.items()):
        for place, piece in enumerate(track.pieces()):
            began = time.perf_counter()
            crops = stack([jobs[frame].crops[[which]] for frame, which in piece], torch.cat)
            last = stack(list(before[who])) if place == 0 and before.get(who) else None
            found = loaded.fit_crops(crops, [jobs[frame].camera for frame, _ in piece], film=True, before=last)
            for one, (frame, which) in zip(found, piece, strict=True):
                fitted[frame, which] = one.person(jobs[frame], which, track=who)
                seconds[frame] += (time.perf_counter() - began) / len(piece)
            ended = tracker.people.get(who)
            if ended is not None and ended.frame == piece[-1][0]:
                earlier = before.get(who, ()) if place == 0 else ()
                tracker.fitted(who, [*earlier, *(one.fitted.params for one in found)])
    images = []
    for number, job in jobs.items():
        people = tuple(fitted[number, which] for which in range(len(job.people)))
        images.append(loaded.result(job, people, seconds[number], number))
    return images


def track_records(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each person of a film, by the records of its frames: frames, fits kept, and the jitter of start and fit."""
    people: dict[int, list[tuple[int, Mapping[str, Any]]]] = {}
    for record in records:
        for person in record["people"]:
            people.setdefault(person["track"] or 0, []).append((record["frame"], person))
    found = []
    for who, places in sorted(people.items()):
        places.sort(key=lambda place: place[0])
        numbers = np.array([number for number, _ in places])
        unsteady = {
            role: jitter(np.array([person[role]["joints"] for _, person in places], np.float64), numbers)
            for role in ("start", "fit")
        }
        kept = sum(person["kept"] for _, person in places)
        found.append({"track": who, "frames": len(places), "kept": kept, "jitter_mm": unsteady})
    return found


def jitter(joints: Float[np.ndarray, "n J 3"], frames: Int[np.ndarray, "n"]) -> float:
    """How unsteady joints are: the mean length of their second difference, in millimetres a squared frame.

    Relative to the root (joint 0), over frames whose numbers are consecutive; NaN where no three are.
    """
    local = joints - joints[:, :1]
    bend = np.linalg.norm(local[2:] - 2 * local[1:-1] + local[:-2], axis=-1)[frames[2:] - frames[:-2] == 2]
    return float(1000 * bend.mean()) if len(bend) else float("nan")
