"""Calibration files of Qualisys Track Manager (``.qca.txt``), as Pose2Sim ships them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from nbf_core.errors import InputError

SUBPIXELS = 64.0
"""The file's intrinsics are in 64ths of a pixel."""

_FLIP = np.diag([1.0, -1.0, -1.0])
"""From axes with y up and z backward to OpenCV's, with y down and z forward."""


@dataclass(frozen=True)
class Calibrated:
    """One camera: ``x_camera = rotation x_world + translation`` (metres), OpenCV axes, pixel centres at +0.5.

    ``focal`` and ``center`` are in pixels, x first; ``distortion`` is OpenCV's (k1, k2, p1, p2).
    """

    name: str
    focal: Float[np.ndarray, "2"]
    center: Float[np.ndarray, "2"]
    distortion: Float[np.ndarray, "4"]
    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, "3"]

    def to_camera(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """World points in camera coordinates."""
        return points @ self.rotation.T + self.translation

    def project(self, points: Float[np.ndarray, "n 3"], distorted: bool = True) -> Float[np.ndarray, "n 2"]:
        """World points to pixels of the picture as it was taken, or of the undistorted one."""
        local = self.to_camera(points)
        plane = local[:, :2] / local[:, 2:]
        return (self._distort(plane) if distorted else plane) * self.focal + self.center

    def _distort(self, plane: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        k1, k2, p1, p2 = self.distortion
        x, y = plane.T
        r2 = x * x + y * y
        radial = 1 + k1 * r2 + k2 * r2 * r2
        bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        return np.stack([bent_x, bent_y], axis=1)


def read_calibration(path: str | Path) -> tuple[Calibrated, ...]:
    """The cameras of a file, in its order. Raises InputError naming the file and what is missing."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise InputError(f"calibration {path}: cannot be read: {error}") from error
    found = root.findall("cameras/camera")
    if not found:
        raise InputError(f"calibration {path}: holds no <camera>")
    return tuple(_camera(element, path) for element in found)


def _camera(element: ElementTree.Element, path: str | Path) -> Calibrated:
    name = element.get("serial", "?")

    def numbers(tag: str, *keys: str) -> np.ndarray:
        part = element.find(tag)
        try:
            return np.array([float(part.attrib[key]) for key in keys])
        except (AttributeError, KeyError, ValueError) as error:
            raise InputError(f"calibration {path}: camera {name}: <{tag}>: {', '.join(keys)} expected") from error

    # The file's rows take world directions to the camera's; its position is in millimetres.
    rotation = _FLIP @ numbers("transform", *(f"r{i}{j}" for i in "123" for j in "123")).reshape(3, 3)
    position = numbers("transform", "x", "y", "z") / 1000
    radial = numbers("intrinsic", "radialDistortion1", "radialDistortion2")
    tangential = numbers("intrinsic", "tangentalDistortion1", "tangentalDistortion2")
    return Calibrated(
        name=name,
        focal=numbers("intrinsic", "focalLengthU", "focalLengthV") / SUBPIXELS,
        # The file counts from the middle of the first pixel, we from its outer corner.
        center=numbers("intrinsic", "centerPointU", "centerPointV") / SUBPIXELS + 0.5,
        distortion=np.concatenate([radial, tangential]),
        rotation=rotation,
        translation=-rotation @ position,
    )
