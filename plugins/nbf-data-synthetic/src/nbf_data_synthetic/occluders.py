"""Things that hide a person in a training picture: patches and cut-outs of other pictures, in several shapes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from nbf_datasets.patches import OCCLUDER, REFERENCE

_BOX, _ROUND, _CAPSULE, _BLOB = range(4)
_FLAT, _BLOCKS, _STRIPES, _CHECKS, _SLOPE, _CUT = range(6)


class Occluder(NamedTuple):
    """A shape in image pixels and how it is painted.

    ``shape`` holds kind, middle, half sizes, cosine and sine of its turn, three waves of a blob's outline; ``paint``
    kind, two colours, period, direction, grain, seed, and for a cut-out picture number, offset.
    """

    shape: np.ndarray
    paint: np.ndarray

    def holds(self, points: np.ndarray) -> np.ndarray:
        """Whether pixel coordinates [..., 2] lie behind it, bool [...]."""
        flat = np.ascontiguousarray(points, np.float64).reshape(-1, 2)
        return _hold(self.shape, flat).reshape(points.shape[:-1])

    def hide_map(self, labels: np.ndarray, image_size: int) -> None:
        """Mark in place the cells of label map [mh, mw] whose centres lie behind it as occluder."""
        _hide(self.shape, labels, image_size / len(labels))

    def draw(self, image: np.ndarray, pictures: np.ndarray) -> None:
        """Paint it into uint8 [3, h, h] in place; cut-outs are taken from ``pictures`` uint8 [n, 3, h, h]."""
        _draw(self.shape, self.paint, image, pictures)


def draw_occluders(rng: np.random.Generator, joints: np.ndarray, image_size: int, pictures: int) -> list[Occluder]:
    """One to three occluders of 12 to 112 px (of 224): mostly over the person, half of them cut-outs."""
    chosen = []
    for _ in range(1 + int(rng.integers(0, 3))):
        u = rng.random
        side = (12 + 100 * u() ** 1.3) * image_size / REFERENCE
        if u() < 0.7:
            x, y = joints[int(rng.integers(len(joints)))] + (rng.random(2) - 0.5) * side
        else:
            x, y = rng.random(2) * image_size
        x, y = np.clip([x, y], 0, image_size)
        kind = (_BOX, _BOX, _ROUND, _CAPSULE, _BLOB, _BLOB)[int(rng.integers(6))]
        a = b = side / 2
        if u() < 0.4 or kind == _CAPSULE:
            share = 0.25 + 0.5 * u()
            a, b = side * (0.75 - share / 4), side * share / 2
        angle = 0.0 if kind == _BOX and u() < 0.6 else u() * np.pi
        shape = np.array([kind, x, y, a, b, np.cos(angle), np.sin(angle), *(0.25 * (rng.random(6) - 0.5))])
        style = _CUT if u() < 0.5 else int(rng.integers(0, _CUT))
        direction = u() * 2 * np.pi
        paint = np.array(
            [
                style, *rng.integers(0, 256, 6), 4 + 20 * u(), np.cos(direction), np.sin(direction),
                60 * u(), float(rng.integers(1 << 20)), int(rng.integers(pictures)), *rng.integers(0, image_size, 2),
            ]
        )  # fmt: skip
        chosen.append(Occluder(shape, paint))
    return chosen


@njit(cache=True, nogil=True)
def _inside(s, x, y):
    x, y = x - s[1], y - s[2]
    a, b = (x * s[5] + y * s[6]) / s[3], (y * s[5] - x * s[6]) / s[4]
    if s[0] == _BOX:
        return max(abs(a), abs(b)) <= 1.0
    if s[0] == _CAPSULE:
        along = max(abs(a) * s[3] - (s[3] - s[4]), 0.0) / s[4]
        return along * along + b * b <= 1.0
    square = a * a + b * b
    if s[0] == _ROUND or square < 1e-9:
        return square <= 1.0
    if square > 2.0:
        return False
    # Waves around the outline as polynomials of the direction: two, three and four to a turn.
    r = np.sqrt(square)
    c, d = a / r, b / r
    reach = 0.85 + s[7] * (c * c - d * d) + s[8] * 2 * c * d
    reach += s[9] * c * (c * c - 3 * d * d) + s[10] * d * (3 * c * c - d * d)
    p, q = c * c - d * d, 2 * c * d
    reach += s[11] * (p * p - q * q) + s[12] * 2 * p * q
    return r <= reach


@njit(cache=True, nogil=True)
def _hold(shape, points):
    out = np.empty(len(points), np.bool_)
    for k in range(len(points)):
        out[k] = _inside(shape, points[k, 0], points[k, 1])
    return out


@njit(cache=True, nogil=True)
def _hide(shape, labels, cell):
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            if _inside(shape, (j + 0.5) * cell, (i + 0.5) * cell):
                labels[i, j] = OCCLUDER


@njit(cache=True, nogil=True)
def _scramble(a, b, seed):
    h = (a * 374761393 + b * 668265263 + seed * 974634777) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return (h ^ (h >> 16)) & 0xFFFF


@njit(cache=True, nogil=True)
def _draw(shape, paint, image, pictures):
    size = image.shape[1]
    reach = np.sqrt(shape[3] * shape[3] + shape[4] * shape[4]) * 1.3 + 1
    top, bottom = max(int(shape[2] - reach), 0), min(int(shape[2] + reach) + 1, size)
    left, right = max(int(shape[1] - reach), 0), min(int(shape[1] + reach) + 1, size)
    style, period, seed = int(paint[0]), paint[7], int(paint[11])
    picture, down, across = pictures[int(paint[12])], int(paint[13]), int(paint[14])
    grain = int(paint[10])
    for i in range(top, bottom):
        for j in range(left, right):
            if not _inside(shape, j + 0.5, i + 0.5):
                continue
            if style == _CUT:
                for c in range(3):
                    image[c, i, j] = picture[c, (i + down) % size, (j + across) % size]
                continue
            along = ((j - shape[1]) * paint[8] + (i - shape[2]) * paint[9]) / period
            aside = ((i - shape[2]) * paint[8] - (j - shape[1]) * paint[9]) / period
            mix = 0.0
            if style == _STRIPES:
                mix = 1.0 if along - np.floor(along) < 0.5 else 0.0
            elif style == _CHECKS:
                mix = 1.0 if (int(np.floor(along)) + int(np.floor(aside))) % 2 == 0 else 0.0
            elif style == _SLOPE:
                mix = min(max(0.5 + along * period / (2.0 * shape[3]), 0.0), 1.0)
            rough = (_scramble(i, j, seed) * (2 * grain + 1) >> 16) - grain
            for c in range(3):
                value = paint[1 + c] + (paint[4 + c] - paint[1 + c]) * mix
                if style == _BLOCKS:
                    value = _scramble(int(np.floor(along / 1.5)), int(np.floor(aside / 1.5)), seed + c) >> 8
                image[c, i, j] = min(max(int(value) + rough, 0), 255)
