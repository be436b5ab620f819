"""What can be shown of a result, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from nbf_core.errors import ConfigError, InputError
from nbf_run.report import drawing
from nbf_run.report.side import Stage, side_view
from nbf_run.results import FittedImage, FittedPerson
from nbf_run.view import maps
from nbf_run.view.canvas import Canvas

Picture = UInt8[np.ndarray, "h w 3"]

SIDE = 640
"""Pixels of a picture's side unless asked otherwise."""

TRACK_COLOURS = (drawing.FIT_COLOUR, (226, 124, 62), (86, 176, 108), (178, 102, 204), (214, 178, 56), (80, 178, 190))
"""The colours of a film's people, over and over."""


@dataclass(frozen=True)
class Layer:
    """One way to show people: ``about`` in words, ``draw`` their picture; None where the result does not hold it.

    ``stands`` tells that it shows bodies on a ground of their own, and not over the photo.
    """

    about: str
    draw: Callable[[FittedImage, Canvas, Sequence[FittedPerson]], Picture | None]
    stands: bool = False


def draw(
    image: FittedImage,
    layer: str,
    person: int | None = None,
    side: int = SIDE,
    stage: Stage | None = None,
) -> Picture | None:
    """The picture of one layer of a result: of the whole photo, or of the square around one ``person`` (from 0).

    ``side`` is the longer side in pixels, at most, of a photo, and the side of a square. None where the result does not
    hold what the layer shows. ``stage`` fixes where standing bodies are shown from (:data:`LAYERS`: front, side, back).
    Raises ConfigError for a name that is no layer, InputError for a person who is not there.
    """
    wanted = find_layers([layer])[0]
    if person is not None and not 0 <= person < len(image.people):
        raise InputError(f"{image.name}: has no person {person}; it shows {len(image.people)}, counted from 0")
    people = image.people if person is None else (image.people[person],)
    if wanted.stands:
        return _standing(image, people, _TURNS[layer], side, stage)
    square = None if person is None else people[0].square
    canvas = Canvas.of_photo(image, side) if square is None else Canvas.of_square(image, square, side)
    return wanted.draw(image, canvas, people)


def find_layers(names: Iterable[str]) -> list[Layer]:
    """The layers of these names. Raises ConfigError with the choices."""
    found = []
    for name in names:
        if name not in LAYERS:
            raise ConfigError(f"no layer named {name!r}; there are: {', '.join(LAYERS)}")
        found.append(LAYERS[name])
    return found


def colour_of(person: FittedPerson) -> tuple[int, int, int]:
    """A person's colour: blue, and in a film one for each."""
    return TRACK_COLOURS[(person.track or 0) % len(TRACK_COLOURS)]


def together(bodies: Sequence[Float[np.ndarray, "V 3"]], faces: Int[np.ndarray, "F 3"]):
    """Several bodies as one mesh: vertices and faces."""
    shift = np.cumsum([0, *(len(body) for body in bodies[:-1])])
    return np.concatenate(list(bodies)), np.concatenate([faces + offset for offset in shift])


def _bodies(role: str) -> Callable[[FittedImage, Canvas, Sequence[FittedPerson]], Picture]:
    def paint(image: FittedImage, canvas: Canvas, people: Sequence[FittedPerson]) -> Picture:
        picture = canvas.picture
        for person in sorted(people, key=lambda person: -float(person.fitted.params.transl[2])):
            posed = person.start if role == "start" else person.fitted
            colour = drawing.START_COLOUR if role == "start" else colour_of(person)
            picture = drawing.over(picture, drawing.shade_body(posed.vertices, image.faces, canvas.camera, colour))
        return picture

    return paint


def _body_parts(image: FittedImage, canvas: Canvas, people: Sequence[FittedPerson]) -> Picture | None:
    if image.vertex_parts is None:
        return None
    bodies = [person.fitted.vertices for person in people]
    return maps.draw_body_parts(canvas, bodies, image.faces, image.vertex_parts)


def _part_map(image: FittedImage, canvas: Canvas, people: Sequence[FittedPerson]) -> Picture | None:
    return None if all(person.parts is None for person in people) else maps.draw_part_map(canvas, people)


def _occlusion(image: FittedImage, canvas: Canvas, people: Sequence[FittedPerson]) -> Picture | None:
    people = [person for person in people if person.silhouette is not None and person.occlusion is not None]
    if not people:
        return None
    body, hidden = np.zeros(canvas.size, np.float32), np.zeros(canvas.size, bool)
    for person in people:
        own = np.nan_to_num(canvas.place(person.silhouette, person.square))
        body = np.maximum(body, own)
        hidden |= (own > 0.5) & (np.nan_to_num(canvas.place(person.occlusion, person.square)) > 0.5)
    return drawing.draw_occlusion(canvas.picture, body, hidden)


def _scores(name: str, words: str) -> Callable[[FittedImage, Canvas, Sequence[FittedPerson]], Picture | None]:
    def paint(image: FittedImage, canvas: Canvas, people: Sequence[FittedPerson]) -> Picture | None:
        if name == "difference":
            values = [
                None if person.object_score is None or person.clutter_score is None
                else person.object_score - person.clutter_score
                for person in people
            ]  # fmt: skip
        else:
            values = [getattr(person, name) for person in people]
        if all(value is None for value in values):
            return None
        return maps.draw_scores(canvas, people, values, words, whole=name == "clutter_score")

    return paint


def _standing(
    image: FittedImage, people: Sequence[FittedPerson], turn: float, side: int, stage: Stage | None
) -> Picture:
    """Bodies on a ground, turned. With people of several colours the farther ones are drawn first."""
    bodies = [person.fitted.vertices for person in people]
    vertices, faces = together(bodies, image.faces)
    colour = colour_of(people[0]) if len(people) == 1 else drawing.FIT_COLOUR
    return side_view(vertices, faces, colour, side, turn, stage)


def _never(image: FittedImage, canvas: Canvas, people: Sequence[FittedPerson]) -> None:
    """Standing bodies are drawn on a canvas of their own."""


_TURNS = {"front": 0.0, "side": 90.0, "back": 180.0}

LAYERS: dict[str, Layer] = {
    "photo": Layer("the picture as it came", lambda image, canvas, people: canvas.picture),
    "keypoints": Layer(
        "detected keypoints; yellow: where the fit has them",
        lambda image, canvas, people: maps.draw_both_keypoints(canvas, people),
    ),
    "start": Layer("the network's estimate over the picture", _bodies("start")),
    "fit": Layer("the fitted body over the picture", _bodies("fit")),
    "front": Layer("the fitted body as the camera sees it, on a ground", _never, stands=True),
    "side": Layer("the fitted body from its side; the camera stood to the left", _never, stands=True),
    "back": Layer("the fitted body from behind", _never, stands=True),
    "parts": Layer("the part that the network sees at each pixel", _part_map),
    "body-parts": Layer("the fitted body's parts", _body_parts),
    "occlusion": Layer("green: the body is seen; red: something else explains the picture better", _occlusion),
    "object-score": Layer(
        "how well the body explains each of its pixels", _scores("object_score", "body's cosine with the picture")
    ),
    "clutter-score": Layer(
        "how well clutter explains each pixel", _scores("clutter_score", "clutter's cosine with the picture")
    ),
    "score-difference": Layer(
        "body against clutter: red where clutter wins", _scores("difference", "body minus clutter")
    ),
}
"""Everything that :func:`draw` can show, in the order of a sheet."""
