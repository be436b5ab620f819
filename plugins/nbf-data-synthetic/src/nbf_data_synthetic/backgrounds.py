"""Backgrounds painted by procedure: plain or noisy walls and floors, and clutter in front of them."""

from __future__ import annotations

import numpy as np
from numba import njit

from nbf_data_synthetic import colours, textures
from nbf_data_synthetic.noise import noise2
from nbf_data_synthetic.textures import evaluate

# A shape is a row: kind, centre, half sizes, cosine and sine of its turn, then a texture row.
_KIND, _X, _Y, _A, _B, _COS, _SIN, _SHADE, _TEXTURE = range(9)
_BOX, _ELLIPSE, _CAPSULE = range(3)
_ROW = _TEXTURE + textures.WIDTH


def paint(rng: np.random.Generator, size: int) -> np.ndarray:
    """A background [size, size, 3] float64, about 0 to 1; every other one with half as many pixels, enlarged."""
    half = size % 2 == 0 and rng.random() < 0.5
    image = np.empty((size // 2, size // 2, 3) if half else (size, size, 3))
    _field(image, *_draw_field(rng))
    count = int(rng.integers(0, 7)) if rng.random() < 0.5 else int(rng.integers(5, 24))
    if count:
        _shapes(image, np.stack([_draw_shape(rng) for _ in range(count)]))
    if rng.random() < 0.6:  # out of focus
        for _ in range(int(rng.integers(1, 5))):
            _soften(image)
    return enlarged(image) if half else image


@njit(cache=True, nogil=True)
def enlarged(image):
    """Twice the size, bilinear."""
    size = len(image)
    out = np.empty((2 * size, 2 * size, 3))
    for i in range(2 * size):
        y = i // 2 + (1 if i % 2 else -1)
        y = min(max(y, 0), size - 1)
        for j in range(2 * size):
            x = j // 2 + (1 if j % 2 else -1)
            x = min(max(x, 0), size - 1)
            for c in range(3):
                near = 0.75 * image[i // 2, j // 2, c] + 0.25 * image[i // 2, x, c]
                far = 0.75 * image[y, j // 2, c] + 0.25 * image[y, x, c]
                out[i, j, c] = 0.75 * near + 0.25 * far
    return out


@njit(cache=True, nogil=True)
def _soften(image):
    """Each pixel becomes the mean of itself and two neighbours, one way and then back, in place."""
    height, width = image.shape[:2]
    for c in range(3):
        for i in range(height - 1):
            for j in range(width - 1):
                image[i, j, c] = 0.5 * image[i, j, c] + 0.25 * (image[i + 1, j, c] + image[i, j + 1, c])
        for i in range(height - 1, 0, -1):
            for j in range(width - 1, 0, -1):
                image[i, j, c] = 0.5 * image[i, j, c] + 0.25 * (image[i - 1, j, c] + image[i, j - 1, c])


def _draw_field(rng: np.random.Generator):
    """Two textured planes that meet at a line, and large soft variation of light."""
    u = rng.random
    first = _natural(rng)
    second = _natural(rng)
    first[textures.GRAIN] = 0.3 * u() ** 2
    second[textures.GRAIN] = 0.4 * u() ** 2
    split = 9.0 if u() < 0.35 else 0.35 + 0.6 * u()
    tilt = 0.15 * (u() - 0.5) if u() < 0.7 else 1.5 * (u() - 0.5)
    light = np.array([0.7 * u() ** 2, 1 + 4 * u(), 0.6 * (u() - 0.5), 0.6 * (u() - 0.5)])
    scale = np.array([0.4 + 1.4 * u(), 0.4 + 1.2 * u()])
    return first, second, split, tilt, light, scale, int(rng.integers(1 << 20))


def _natural(rng: np.random.Generator) -> np.ndarray:
    """A texture whose colours are seldom loud and which is most often plain or clouded."""
    row = textures.random_texture(rng, plain_share=0.3, fine=2)
    if rng.random() < 0.4 and row[textures.KIND] != textures.PLAIN:
        row[textures.KIND] = (textures.CLOUDS, textures.CAMOUFLAGE)[int(rng.integers(2))]
    if rng.random() < 0.6:
        keep = 0.1 + 0.5 * rng.random()
        for start in (textures.FIRST, textures.SECOND, textures.THIRD):
            colour = row[start : start + 3]
            grey = (colour[0] + colour[1] + colour[2]) / 3
            row[start : start + 3] = grey + (colour - grey) * keep
    return row


@njit(cache=True, nogil=True)
def _field(image, first, second, split, tilt, light, scale, seed):
    size = len(image)
    colour = np.empty(3)
    for i in range(size):
        for j in range(size):
            x, y = (j + 0.5) / size, (i + 0.5) / size
            below = y - split - tilt * (x - 0.5)
            if below < 0:
                evaluate(first, (x - 0.5) * scale[0], (0.5 - y) * scale[0], 0.0, 0, colour)
            else:
                depth = scale[1] / (0.25 + below)  # a floor, smaller where it is further away
                evaluate(second, (x - 0.5) * depth, depth, 0.0, 0, colour)
            shade = 1 + light[0] * (noise2(x * light[1], y * light[1], seed) - 0.5) * 2
            shade += light[2] * (x - 0.5) * 2 + light[3] * (y - 0.5) * 2
            for c in range(3):
                image[i, j, c] = colour[c] * max(shade, 0.1)


def _draw_shape(rng: np.random.Generator) -> np.ndarray:
    """A box, an ellipse or a limb-like capsule; some have the colours of skin."""
    u = rng.random
    row = np.zeros(_ROW)
    row[_KIND] = int(rng.integers(3))
    row[_X], row[_Y] = 1.2 * u() - 0.1, 1.2 * u() - 0.1
    large = 0.02 + 0.35 * u() ** 2
    thin = row[_KIND] == _CAPSULE or u() < 0.4
    row[_A], row[_B] = large, max(large * (0.08 + 0.25 * u()) if thin else large * (0.4 + 0.6 * u()), 0.006)
    angle = rng.random() * np.pi if u() < 0.6 else np.pi / 2 * int(rng.integers(2))
    row[_COS], row[_SIN] = np.cos(angle), np.sin(angle)
    row[_SHADE] = u() if u() < 0.6 else 0.0
    like_skin = u() < 0.15
    colour = colours.skin(rng) if like_skin else None
    row[_TEXTURE:] = textures.random_texture(rng, colour, plain_share=0.9 if like_skin else 0.45)
    return row


@njit(cache=True, nogil=True)
def _shapes(image, rows):
    size = len(image)
    colour = np.empty(3)
    for r in range(len(rows)):
        s = rows[r]
        reach = s[_A] + s[_B]
        top, bottom = int(max((s[_Y] - reach) * size, 0)), int(min((s[_Y] + reach) * size + 1, size))
        left, right = int(max((s[_X] - reach) * size, 0)), int(min((s[_X] + reach) * size + 1, size))
        for i in range(top, bottom):
            for j in range(left, right):
                x, y = (j + 0.5) / size - s[_X], (i + 0.5) / size - s[_Y]
                a, b = (x * s[_COS] + y * s[_SIN]) / s[_A], (y * s[_COS] - x * s[_SIN]) / s[_B]
                if s[_KIND] == _BOX:
                    outside = max(abs(a), abs(b))
                elif s[_KIND] == _ELLIPSE:
                    outside = a * a + b * b
                else:
                    along = max(abs(a) * s[_A] - (s[_A] - s[_B]), 0.0) / s[_B]
                    outside = along * along + b * b
                if outside > 1.0:
                    continue
                evaluate(s[_TEXTURE:], x, -y, 0.0, 0, colour)
                # Round shapes are lit from one side, so that clutter is not always flat.
                shade = 1.0 - 0.5 * s[_SHADE] * (0.5 + 0.5 * b)
                for c in range(3):
                    image[i, j, c] = colour[c] * shade
