"""Shadows that people cast on themselves, each other and the floor: depth maps seen from the key light."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from nbf_raster import rasterise

_AWAY = 100.0  # metres from the people to the light: its rays are as good as parallel
_CELLS = 224


class Shadow(NamedTuple):
    """What the light sees: ``depth`` [n, n] in metres from it, infinity where nothing is.

    A point p lies at ``turn @ (p - middle) + (0, 0, away)`` in its coordinates and at pixel
    ``xy / z focal + n / 2``. ``soft`` is the radius (pixels of the map) over which edges fade.
    """

    depth: np.ndarray
    turn: np.ndarray
    middle: np.ndarray
    numbers: np.ndarray  # focal, away, soft, strength of the shadow


def frame_of(toward: np.ndarray) -> np.ndarray:
    """Rows of a rotation whose third axis points away from ``toward``, a unit vector [3]."""
    other = np.array([0.0, 1, 0]) if abs(toward[1]) < 0.9 else np.array([1.0, 0, 0])
    x = np.cross(other, -toward)
    x = x / np.sqrt((x * x).sum())
    return np.stack([x, np.cross(-toward, x), -toward])


def cast(vertices: np.ndarray, faces: np.ndarray, toward: np.ndarray, soft: float, strength: float) -> Shadow:
    """The shadow map of a mesh for the light in direction ``toward`` [3]."""
    low, high = vertices.min(0), vertices.max(0)
    middle = np.round((low + high) / 2, 3)
    turn = frame_of(toward)
    local = (vertices - middle) @ turn.T
    reach = np.abs(local[:, :2]).max() * 1.05
    focal = np.round(_CELLS / 2 / reach * (_AWAY - 3.0), 3)
    local[:, 2] += _AWAY
    seen = rasterise(np.round(local, 5), faces, (focal,) * 2, (_CELLS / 2,) * 2, (_CELLS, _CELLS), cull=True)
    return Shadow(seen.depth, turn, middle, np.array([focal, _AWAY, soft, strength]))


def no_shadow() -> Shadow:
    """A light that everything sees."""
    return Shadow(np.full((2, 2), np.inf, np.float32), np.eye(3), np.zeros(3), np.array([1.0, _AWAY, 0.0, 0.0]))


@njit(cache=True, nogil=True)
def lit(shadow, px, py, pz, bias):
    """How much of the light reaches a point, 0 to 1; ``bias`` (m) keeps surfaces from shading themselves."""
    depth, turn, middle, numbers = shadow
    n = len(depth)
    x, y, z = px - middle[0], py - middle[1], pz - middle[2]
    lx = turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * z
    ly = turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * z
    lz = turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z + numbers[1]
    u = lx / lz * numbers[0] + n / 2
    v = ly / lz * numbers[0] + n / 2
    soft = numbers[2]
    if u < soft + 1 or v < soft + 1 or u >= n - soft - 1 or v >= n - soft - 1:
        return 1.0
    free = 0
    edge = np.float32(lz - bias)
    for k in range(9):
        a, b = int(u + (k // 3 - 1) * soft), int(v + (k % 3 - 1) * soft)
        if depth[b, a] >= edge:
            free += 1
    return 1.0 - numbers[3] * (1.0 - free / 9.0)
