"""The pictures that the page shows: five of each person, one of each photo."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image

from nbf_core.types import Camera
from nbf_run.crop import keypoints_in, resample
from nbf_run.report import drawing
from nbf_run.report.side import side_view
from nbf_run.results import FittedImage, FittedPerson

SIDE = 640
"""Pixels of a figure's side."""

PHOTO_SIDE = 1280
"""Pixels of a whole photo's longer side, at most."""

OUTSIDE = (150, 156, 164)
"""What is shown beyond the photo's edge."""


def person_figures(image: FittedImage, person: FittedPerson) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
    """Pictures of the person's crop by name: ``photo``, ``start``, ``fit``, ``occlusion`` and ``side``."""
    square = person.square
    crop = shown(image, square, SIDE)
    camera = image.camera.cropped(torch.as_tensor(square, dtype=image.camera.focal.dtype), (SIDE, SIDE))

    def overlay(vertices: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
        return drawing.over(crop, drawing.shade_body(vertices, image.faces, camera, colour))

    keypoints = keypoints_in(square, person.keypoints, SIDE)
    return {
        "photo": drawing.draw_keypoints(crop, keypoints, person.keypoint_set),
        "start": overlay(person.start.vertices, drawing.START_COLOUR),
        "fit": overlay(person.fitted.vertices, drawing.FIT_COLOUR),
        "occlusion": drawing.draw_occlusion(crop, person.silhouette, person.occlusion),
        "side": side_view(person.fitted.vertices, image.faces, drawing.FIT_COLOUR, SIDE),
    }


def photo_figure(image: FittedImage) -> UInt8[np.ndarray, "h w 3"]:
    """The whole photo with all fitted bodies, the farthest drawn first."""
    height, width = image.image.shape[:2]
    scale = min(PHOTO_SIDE / max(height, width), 1.0)
    size = (max(round(height * scale), 1), max(round(width * scale), 1))
    picture = np.array(Image.fromarray(image.image).resize(size[::-1], Image.Resampling.LANCZOS))
    camera: Camera = image.camera.resized(size)
    for person in sorted(image.people, key=lambda person: -float(person.fitted.params.transl[2])):
        body = drawing.shade_body(person.fitted.vertices, image.faces, camera, drawing.FIT_COLOUR)
        picture = drawing.over(picture, body)
    return picture


def shown(image: FittedImage, square: Float[np.ndarray, "4"], side: int) -> UInt8[np.ndarray, "h w 3"]:
    """The crop for people to look at: flat where it leaves the photo, for what is there is made up."""
    crop = resample(image.image, square, side)
    height, width = image.image.shape[:2]
    place = np.linspace(square[:2], square[2:], side, endpoint=False) + (square[2:] - square[:2]) / (2 * side)
    inside = ((place >= 0) & (place < (width, height))).T
    crop[~(inside[1][:, None] & inside[0][None])] = OUTSIDE
    return crop
