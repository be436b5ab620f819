"""What patches look like: made up, or cut from a folder of pictures."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from nbf_core.contracts import Occluder
from nbf_core.errors import AssetError
from nbf_datasets.folder import SUFFIXES, read_image
from nbf_datasets.patches import texture

_TEXTURE, _CENTER = 1, 2  # streams of random numbers that must not agree


class Textures:
    """A texture for each sample, a function of the seed and the sample's index.

    ``folder`` is searched with its sub-folders; None: textures are made up. Raises AssetError naming the folder
    where it is none or holds no picture.
    """

    def __init__(self, folder: Path | None = None, seed: int = 0):
        self.folder, self.seed = folder, seed
        self.files: list[Path] = []
        if folder is not None:
            if not folder.is_dir():
                raise AssetError(f"textures: {folder}: not a folder")
            self.files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
            if not self.files:
                raise AssetError(f"textures: {folder}: no picture in it ({', '.join(sorted(SUFFIXES))})")
        self._cut = lru_cache(maxsize=256)(self._make)

    def __call__(self, index: int, side: int, occluder: Occluder) -> np.ndarray:
        """The pixels uint8 [side, side, 3] of sample ``index``, not to be written to.

        A picture that the occluder names is matched by the last parts of its path, as far as the folder holds them;
        without a folder its name changes nothing. Raises AssetError naming a picture that is not there.
        """
        if self.files and occluder.texture is not None:
            return self._cut(index, side, occluder.texture, occluder.texture_corner)
        return self._cut(index, side, None, None)

    def _make(self, index: int, side: int, name: str | None, corner: tuple[int, int] | None) -> np.ndarray:
        rng = np.random.default_rng((self.seed, _TEXTURE, index))
        if name is not None:
            pixels = _cut(read_image(self._find(name)), corner, side, rng)
        elif self.files:
            pixels = _cut(read_image(self.files[int(rng.integers(len(self.files)))]), None, side, rng)
        else:
            pixels = texture(rng, side, side)
        pixels.setflags(write=False)
        return pixels

    def _find(self, name: str) -> Path:
        parts = Path(name.replace("\\", "/")).parts
        # The longest end of the written path that the folder has: lists were written on other machines.
        for first in range(len(parts)):
            end = parts[first:]
            found = [path for path in self.files if path.parts[-len(end) :] == end]
            if found:
                return found[0]
        raise AssetError(f"textures: {self.folder}: no picture named {name}")


def center_of(seed: int, index: int) -> tuple[float, float]:
    """A point (y, x) of the middle half of the image, in shares of its sides, drawn for sample ``index``."""
    y, x = np.random.default_rng((seed, _CENTER, index)).uniform(0.25, 0.75, 2)
    return float(y), float(x)


def _cut(image: Image.Image, corner: tuple[int, int] | None, side: int, rng: np.random.Generator) -> np.ndarray:
    """A square piece at ``corner``, or at a place drawn; a picture too small for it is enlarged."""
    needed = (max(corner) if corner else 0) + side
    if min(image.size) < (side if corner is None else needed):
        factor = (side if corner is None else needed) / min(image.size)
        image = image.resize(tuple(max(side, round(length * factor)) for length in image.size))
    width, height = image.size
    top, left = corner or (int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1)))
    return np.array(image.crop((left, top, left + side, top + side)))
