"""The damage that JPEG does: 8 x 8 cosine transforms, rounded, of brightness and of halved colour."""

from __future__ import annotations

import numpy as np
from numba import njit

# The quantisation tables of the standard's annex K.
_BRIGHTNESS = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)  # fmt: skip
_COLOUR = np.full((8, 8), 99, np.float32)
_COLOUR[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
_COSINES = np.array(
    [
        [np.sqrt((1 if k == 0 else 2) / 8) * np.cos(np.pi * (2 * n + 1) * k / 16) for n in range(8)]
        for k in range(8)
    ]
).round(7).astype(np.float32)  # fmt: skip


def _steps(table: np.ndarray, quality: int) -> np.ndarray:
    """The table for a quality of 1 to 100, as common encoders scale it."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip(np.floor((table * scale + 50) / 100), 1, 255).astype(np.float32)


@njit(cache=True, nogil=True)
def _block(plane, top, left, cosines, steps):
    """One block of a float32 plane, in place."""
    block, half = np.empty((8, 8), np.float32), np.empty((8, 8), np.float32)
    for way in range(2):
        source = plane[top : top + 8, left : left + 8]
        # Rows, then columns, of C b C^T and back by C^T b C.
        half[:] = 0
        for k in range(8):
            for n in range(8):
                w = cosines[k, n] if way == 0 else cosines[n, k]
                for j in range(8):
                    half[k, j] += w * (source[n, j] if way == 0 else block[n, j])
        if way == 0:
            block[:] = 0
            for i in range(8):
                for n in range(8):
                    v = half[i, n]
                    for k in range(8):
                        block[i, k] += v * cosines[k, n]
            for i in range(8):
                for j in range(8):
                    block[i, j] = np.rint(block[i, j] / steps[i, j]) * steps[i, j]
        else:
            for i in range(8):
                for j in range(8):
                    source[i, j] = 0
                for n in range(8):
                    v = half[i, n]
                    for k in range(8):
                        source[i, k] += v * cosines[n, k]


@njit(cache=True, nogil=True)
def _damage(image, bright, blue, red, tables):
    """``bright`` [h, w], ``blue`` and ``red`` [h/2, w/2] are room for the planes."""
    cosines, fine, coarse = tables
    height, width = bright.shape
    blue[:] = 0
    red[:] = 0
    for i in range(height):
        for j in range(width):
            r, g, b = np.float32(image[0, i, j]), np.float32(image[1, i, j]), np.float32(image[2, i, j])
            y = np.float32(0.299) * r + np.float32(0.587) * g + np.float32(0.114) * b
            bright[i, j] = y - np.float32(128)
            blue[i // 2, j // 2] += (b - y) * np.float32(0.141)
            red[i // 2, j // 2] += (r - y) * np.float32(0.17825)
    for i in range(0, height, 8):
        for j in range(0, width, 8):
            _block(bright, i, j, cosines, fine)
    for i in range(0, height // 2, 8):
        for j in range(0, width // 2, 8):
            _block(blue, i, j, cosines, coarse)
            _block(red, i, j, cosines, coarse)
    low, high = np.float32(0), np.float32(255)
    for i in range(height):
        for j in range(width):
            y = bright[i, j] + np.float32(128.5)
            cb, cr = blue[i // 2, j // 2], red[i // 2, j // 2]
            image[0, i, j] = np.uint8(min(max(y + np.float32(1.402) * cr, low), high))
            image[1, i, j] = np.uint8(min(max(y - np.float32(0.344) * cb - np.float32(0.714) * cr, low), high))
            image[2, i, j] = np.uint8(min(max(y + np.float32(1.772) * cb, low), high))


def compress(image: np.ndarray, quality: int) -> None:
    """In place on uint8 [3, h, w]: what a JPEG of this quality (1 to 100) would look like.

    Sides that are no multiple of 16 are left as they are.
    """
    height, width = image.shape[1:]
    if height % 16 or width % 16:
        return
    bright = np.empty((height, width), np.float32)
    blue, red = np.empty((height // 2, width // 2), np.float32), np.empty((height // 2, width // 2), np.float32)
    _damage(image, bright, blue, red, (_COSINES, _steps(_BRIGHTNESS, quality), _steps(_COLOUR, quality)))
