"""Frames of a film: who is who from frame to frame, and each person's frames fitted together."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int

from nbf_core.errors import InputError
from nbf_core.types import Person
from nbf_core.types.tree import stack
from nbf_run.images import find_images
from nbf_run.results import FittedImage, FittedPerson

if TYPE_CHECKING:
    from nbf_run.fitting import Job, LoadedPipeline, OnError, OnPhoto

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


def find_frames(paths: Iterable[str | Path]) -> list[Path]:
    """Files and the pictures in folders, in the order of the numbers in their names: frame-2 before frame-10."""

    def key(path: Path) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", path.name)]

    found: list[Path] = []
    for path in paths:
        inside = find_images([path])
        found += sorted(inside, key=key) if Path(path).is_dir() else inside
    return found


def follow(frames: Sequence[Sequence[Person]]) -> list[Track]:
    """Who is who: in each frame the boxes that overlap most with somebody's last are theirs, the best pair first.

    Somebody without a box may come back within ``MAX_GAP`` frames; a box without somebody is a new person.
    """
    tracks: list[Track] = []
    for number, people in enumerate(frames):
        alive = [track for track in tracks if number - track.places[-1][0] <= MAX_GAP + 1]
        pairs = []
        for track in alive:
            frame, which = track.places[-1]
            pairs += [(overlap(frames[frame][which].box, one.box), track, i) for i, one in enumerate(people)]
        free, taken = set(map(id, alive)), set()
        for share, track, i in sorted(pairs, key=lambda pair: -pair[0]):
            if share >= MIN_OVERLAP and id(track) in free and i not in taken:
                track.places.append((number, i))
                free.discard(id(track))
                taken.add(i)
        tracks += [Track([(number, i)]) for i in range(len(people)) if i not in taken]
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
    jobs: list[Job | None] = []
    for number, frame in enumerate(frames):
        name = f"frame-{number + 1}" if isinstance(frame, np.ndarray) else str(frame)
        try:
            jobs.append(loaded.find(name, frame))
        except InputError as error:
            if on_error is None:
                raise
            on_error(name, error)
            jobs.append(None)
        if on_photo is not None:
            on_photo(name)
    fitted: dict[tuple[int, int], FittedPerson] = {}
    seconds = [job.seconds if job else 0.0 for job in jobs]
    for who, track in enumerate(follow([job.people if job else [] for job in jobs])):
        for piece in track.pieces():
            began = time.perf_counter()
            crops = stack([jobs[frame].crops[[which]] for frame, which in piece], torch.cat)
            found = loaded.fit_crops(crops, [jobs[frame].camera for frame, _ in piece], film=True)
            for one, (frame, which) in zip(found, piece, strict=True):
                fitted[frame, which] = one.person(jobs[frame], which, track=who)
                seconds[frame] += (time.perf_counter() - began) / len(piece)
    images = []
    for number, job in enumerate(jobs):
        if job is not None:
            people = tuple(fitted[number, which] for which in range(len(job.people)))
            images.append(FittedImage(job.name, job.image, job.camera, people, loaded.faces, seconds[number]))
    return images


def track_records(images: Sequence[FittedImage]) -> list[dict[str, Any]]:
    """Each person of a film: in how many frames, in how many the fit was kept, and the jitter of start and fit."""
    people: dict[int, list[tuple[int, FittedPerson]]] = {}
    for number, image in enumerate(images):
        for person in image.people:
            people.setdefault(person.track or 0, []).append((number, person))
    records = []
    for who, places in sorted(people.items()):
        numbers = np.array([number for number, _ in places])
        bodies = {"start": [p.start for _, p in places], "fit": [p.fitted for _, p in places]}
        unsteady = {role: jitter(np.stack([posed.joints for posed in some]), numbers) for role, some in bodies.items()}
        kept = sum(person.kept for _, person in places)
        records.append({"track": who, "frames": len(places), "kept": kept, "jitter_mm": unsteady})
    return records


def jitter(joints: Float[np.ndarray, "n J 3"], frames: Int[np.ndarray, "n"]) -> float:
    """How unsteady joints are: the mean length of their second difference, in millimetres a squared frame.

    Relative to the root (joint 0), over frames whose numbers are consecutive; NaN where no three are.
    """
    local = joints - joints[:, :1]
    bend = np.linalg.norm(local[2:] - 2 * local[1:-1] + local[:-2], axis=-1)[frames[2:] - frames[:-2] == 2]
    return float(1000 * bend.mean()) if len(bend) else float("nan")
