"""What a camera does to a picture, in integers: the same bits on any machine, and a few milliseconds a picture.

Pictures are uint8 [3, h, h]; functions that say so work in place.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_ONE = 1 << 16


@njit(cache=True, nogil=True)
def _resample(source, inverse, border, out):
    size = source.shape[1]
    step_x, step_y = int(round(inverse[0, 0] * _ONE)), int(round(inverse[1, 0] * _ONE))
    last = (size - 1) << 16
    half = _ONE // 2
    for i in range(size):
        qx, qy = 0.5 - size / 2, i + 0.5 - size / 2
        x = int(round((inverse[0, 0] * qx + inverse[0, 1] * qy + size / 2 - 0.5) * _ONE))
        y = int(round((inverse[1, 0] * qx + inverse[1, 1] * qy + size / 2 - 0.5) * _ONE))
        for j in range(size):
            if x < -half or y < -half or x > last + half or y > last + half:
                for c in range(3):
                    out[c, i, j] = border[c, i, j]
            else:
                a, b = min(max(y, 0), last), min(max(x, 0), last)
                y0, x0 = a >> 16, b >> 16
                y1, x1 = min(y0 + 1, size - 1), min(x0 + 1, size - 1)
                u, v = (b >> 8) & 255, (a >> 8) & 255
                for c in range(3):
                    top = source[c, y0, x0] * (256 - u) + source[c, y0, x1] * u
                    low = source[c, y1, x0] * (256 - u) + source[c, y1, x1] * u
                    out[c, i, j] = (top * (256 - v) + low * v + 32768) >> 16
            x += step_x
            y += step_y


@njit(cache=True, nogil=True)
def _recolour(image, tables, keep):
    """In place: more or less saturated (``keep`` of 256), then a table per channel."""
    for i in range(image.shape[1]):
        for j in range(image.shape[2]):
            r, g, b = int(image[0, i, j]), int(image[1, i, j]), int(image[2, i, j])
            if keep != 256:
                grey = (77 * r + 150 * g + 29 * b) >> 8
                r = min(max(grey + (((r - grey) * keep) >> 8), 0), 255)
                g = min(max(grey + (((g - grey) * keep) >> 8), 0), 255)
                b = min(max(grey + (((b - grey) * keep) >> 8), 0), 255)
            image[0, i, j], image[1, i, j], image[2, i, j] = tables[0, r], tables[1, g], tables[2, b]


def resampled(image: np.ndarray, inverse: np.ndarray, border: np.ndarray) -> np.ndarray:
    """The image whose pixel at offset q from the middle shows ``inverse`` [2, 2] q; ``border`` [3, h, h] beyond it."""
    out = np.empty_like(image)
    _resample(image, inverse, border, out)
    return out


def recolour(image: np.ndarray, tables: np.ndarray, saturation: float = 1.0) -> None:
    """In place: saturation, then colour tables uint8 [3, 256]."""
    _recolour(image, tables, int(round(saturation * 256)))


@njit(cache=True, nogil=True)
def soften(image, passes):
    """In place: the binomial filter (1 2 1) / 4 both ways, borders repeated, as often as asked."""
    channels, height, width = image.shape
    before, here = np.empty(width, np.uint8), np.empty(width, np.uint8)
    for _ in range(passes):
        for c in range(channels):
            picture = image[c]
            before[:] = picture[0]
            for i in range(height):
                row, below = picture[i], picture[min(i + 1, height - 1)]
                here[:] = row
                for j in range(width):
                    row[j] = (before[j] + 2 * here[j] + below[j] + 2) >> 2
                before[:] = here
                here[:] = row
                row[0] = (3 * here[0] + here[1] + 2) >> 2
                for j in range(1, width - 1):
                    row[j] = (here[j - 1] + 2 * here[j] + here[j + 1] + 2) >> 2
                row[width - 1] = (3 * here[width - 1] + here[width - 2] + 2) >> 2


@njit(cache=True, nogil=True)
def smear(image, dx, dy, taps):
    """A new image: the mean of ``taps`` copies along a line from -(dx, dy) to (dx, dy) pixels, borders repeated."""
    channels, height, width = image.shape
    out = np.empty_like(image)
    total = np.empty(width, np.int32)
    for c in range(channels):
        for i in range(height):
            total[:] = taps // 2
            for k in range(taps):
                share = 2.0 * k / (taps - 1) - 1.0
                a, b = int(round(dx * share)), int(round(dy * share))
                row = image[c, min(max(i + b, 0), height - 1)]
                low, high = max(-a, 0), min(width - a, width)
                for j in range(low):
                    total[j] += row[0]
                for j in range(low, high):
                    total[j] += row[j + a]
                for j in range(high, width):
                    total[j] += row[width - 1]
            for j in range(width):
                out[c, i, j] = total[j] // taps
    return out


@njit(cache=True, nogil=True)
def _bell(bits):
    """The sum of four bytes less its mean: nearly normal, standard deviation 147.8."""
    byte = np.uint64(255)
    total = (bits & byte) + ((bits >> np.uint64(8)) & byte)
    total += ((bits >> np.uint64(16)) & byte) + ((bits >> np.uint64(24)) & byte)
    return np.int64(total) - 510


@njit(cache=True, nogil=True)
def _noise(image, scale, shared, seed):
    state = np.uint64(seed)
    half = np.int64(1 << 19)
    for i in range(image.shape[1]):
        for j in range(image.shape[2]):
            # Marsaglia's xorshift: exact in integers; one step serves two numbers.
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            red, green = _bell(state), _bell(state >> np.uint64(32))
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            blue, grey = _bell(state), _bell(state >> np.uint64(32)) * shared + half
            r, g, b = image[0, i, j], image[1, i, j], image[2, i, j]
            image[0, i, j] = min(max(r + ((red * scale[r] + grey) >> 20), 0), 255)
            image[1, i, j] = min(max(g + ((green * scale[g] + grey) >> 20), 0), 255)
            image[2, i, j] = min(max(b + ((blue * scale[b] + grey) >> 20), 0), 255)


def add_noise(image: np.ndarray, sigma: float, shared: float, seed: int, shot: float = 0.0) -> None:
    """In place: noise of standard deviation ``sigma`` for each channel, ``shared`` for all three together.

    ``shot`` adds a part whose variance grows with brightness: its standard deviation at white.
    """
    if max(sigma, shared, shot) < 0.3:
        return
    level = np.sqrt(sigma * sigma + shot * shot * np.arange(256) / 255.0) * ((1 << 20) / 147.8)
    _noise(image, np.round(level).astype(np.int64), np.int64(round(shared * (1 << 20) / 147.8)), seed | 1)
