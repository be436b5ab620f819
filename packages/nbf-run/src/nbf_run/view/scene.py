"""What the 3D page shows, worked out without it: poses by step, the photo as a plane, where to look from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from nbf_core.types import Camera
from nbf_run.results import FittedImage, FittedPerson

UP = (0.0, -1.0, 0.0)
"""Up in the photo's camera: its y axis points down."""

_BEHIND = 1.15
"""The photo stands this many times as far away as the farthest person."""


@dataclass(frozen=True)
class Plane:
    """A picture standing before the camera: its ``middle`` in camera coordinates, ``width`` and ``height``; metres."""

    middle: Float[np.ndarray, "3"]
    width: float
    height: float


def photo_plane(image: FittedImage, depth: float | None = None) -> Plane:
    """The photo at ``depth`` metres, just behind the people unless given: the camera sees it as it was taken."""
    if depth is None:
        depth = _BEHIND * max(float(person.fitted.vertices[:, 2].max()) for person in image.people)
    camera: Camera = image.camera
    focal, center = camera.focal.numpy().astype(np.float64), camera.center.numpy().astype(np.float64)
    height, width = camera.size
    middle = (np.array([width, height]) / 2 - center) / focal * depth
    return Plane(np.array([*middle, depth]), width / float(focal[0]) * depth, height / float(focal[1]) * depth)


def steps_of(image: FittedImage) -> list[int]:
    """The steps of the fit at which somebody's pose was kept, ascending."""
    return sorted({step for person in image.people for step in person.history})


def pose_at(person: FittedPerson, place: int, steps: list[int]) -> Float[np.ndarray, "V 3"]:
    """Somebody's vertices at a place in the fit's course: 0 is the start, then ``steps``, then the result."""
    if place <= 0:
        return person.start.vertices
    if place > len(steps):
        return person.fitted.vertices
    known = [step for step in sorted(person.history) if step <= steps[place - 1]]
    return person.history[known[-1]] if known else person.start.vertices


def words_at(place: int, steps: list[int]) -> str:
    """What that place is called."""
    if place <= 0:
        return "the network's estimate"
    return "the fit" if place > len(steps) else f"step {steps[place - 1]}"


def ground_of(image: FittedImage) -> float:
    """The y of the lowest foot."""
    return max(float(person.fitted.vertices[:, 1].max()) for person in image.people)


def middle_of(image: FittedImage) -> Float[np.ndarray, "3"]:
    """What to turn about: the middle of all bodies."""
    points = np.concatenate([person.fitted.vertices for person in image.people])
    return (points.min(0) + points.max(0)) / 2


def beside(image: FittedImage, turn: float = 40.0) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    """A place ``turn`` degrees beside the camera's from which all bodies are seen, and what to look at."""
    middle = middle_of(image)
    points = np.concatenate([person.fitted.vertices for person in image.people])
    size = max(float((points.max(0) - points.min(0))[:2].max()), 1.0)
    angle = math.radians(turn)
    away = 1.75 * size * np.array([math.sin(angle), -0.18, -math.cos(angle)])
    return middle + away, middle


def numbers_of(image: FittedImage) -> str:
    """The people's numbers as Markdown."""
    lines = []
    for number, person in enumerate(image.people, start=1):
        name = f"person {number}" if person.track is None else f"person {person.track + 1} of the film"
        before, after = person.keypoint_errors
        hidden = "" if math.isnan(person.occluded) else f", {100 * person.occluded:.0f} % hidden"
        kept = "" if person.kept else ", start kept"
        lines.append(f"**{name}**: keypoint error {before:.1f} → {after:.1f} %{hidden}{kept}")
        lines += [f"{metric} {a:.0f} → {b:.0f} mm" for metric, (a, b) in person.errors.items()]
    return "  \n".join(lines)
