"""Photographs in the public domain: surfaces to print on walls and floors, and pictures to stand before."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from zipfile import BadZipFile

import numpy as np
from numba import njit

from nbf_core.errors import AssetError


@cache
def _stored() -> dict[str, np.ndarray]:
    source = files("nbf_data_synthetic") / "data" / "photos.npz"
    try:
        with as_file(source) as path, np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise AssetError(f"photographs {source}: {error}") from error


@cache
def surfaces() -> np.ndarray:
    """Grey textures uint8 [n, side, side] of mean 128: brick, grass, gravel."""
    return _stored()["surfaces"]


@cache
def _pictures() -> np.ndarray:
    return _stored()["pictures"]


def paint(rng: np.random.Generator, size: int) -> np.ndarray:
    """A random crop of a picture, perhaps mirrored, [size, size, 3], about 0 to 1."""
    pictures = _pictures()
    picture = pictures[int(rng.integers(len(pictures)))]
    side = (0.25 + 0.75 * rng.random()) * min(picture.shape[:2])
    corner = rng.random(2) * (np.array(picture.shape[:2]) - side)
    image = np.empty((size, size, 3))
    _crop(picture, np.array([corner[0], corner[1], side]), rng.random() < 0.5, image)
    gain = 0.7 + 0.5 * rng.random()
    return image * gain


@njit(cache=True, nogil=True)
def _crop(picture, box, mirrored, out):
    size = len(out)
    height, width = picture.shape[:2]
    for i in range(size):
        y = min(max(box[0] + (i + 0.5) / size * box[2] - 0.5, 0.0), height - 1.001)
        a = int(y)
        v = y - a
        for j in range(size):
            k = size - 1 - j if mirrored else j
            x = min(max(box[1] + (k + 0.5) / size * box[2] - 0.5, 0.0), width - 1.001)
            b = int(x)
            u = x - b
            for c in range(3):
                top = picture[a, b, c] * (1 - u) + picture[a, b + 1, c] * u
                low = picture[a + 1, b, c] * (1 - u) + picture[a + 1, b + 1, c] * u
                out[i, j, c] = (top * (1 - v) + low * v) / 255.0
