"""Square patch occluders of data sets that draw them as augmentation.

Sizes are given on a reference grid of 224 px and scaled to the image. A :class:`Patch` covers whole pixels; the same
pixels hide keypoints and labels, so the picture and the labels never disagree. Benchmarks put theirs through
``nbf_datasets.occlusion``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

REFERENCE = 224
BACKGROUND, OCCLUDER = -1, -2


@dataclass(frozen=True)
class Patch:
    """The pixels x0 <= x < x1, y0 <= y < y1 of an image; it may reach over the image's edge."""

    x0: int
    y0: int
    x1: int
    y1: int

    @classmethod
    def around(cls, x: float, y: float, size: float, image_size: int) -> Patch:
        """A square of ``size`` on the reference grid with its middle at (x, y) in the image's pixels."""
        side = round(size * image_size / REFERENCE)
        left, top = round(x - side / 2), round(y - side / 2)
        return cls(left, top, left + side, top + side)

    def within(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of the part that lies inside an image."""
        rows = slice(min(max(self.y0, 0), height), min(max(self.y1, 0), height))
        return rows, slice(min(max(self.x0, 0), width), min(max(self.x1, 0), width))

    def holds(self, points: np.ndarray) -> np.ndarray:
        """Whether pixel coordinates [..., 2] lie behind the patch, bool [...]."""
        x, y = points[..., 0], points[..., 1]
        return (x >= self.x0) & (x < self.x1) & (y >= self.y0) & (y < self.y1)


def texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A random texture uint8 [height, width, 3]: blocks, stripes, checks or a gradient with grain."""
    first, second = rng.integers(0, 256, (2, 3)).astype(np.float64)
    kind = int(rng.integers(0, 4))
    y, x = np.mgrid[0:height, 0:width]
    if kind == 0:
        cells = int(rng.integers(2, 9))
        coarse = rng.integers(0, 256, (cells, cells, 3))
        mixed = coarse[y * cells // max(height, 1), x * cells // max(width, 1)].astype(np.float64)
    elif kind == 1:
        a, b = rng.integers(-4, 5, 2)
        period = int(rng.integers(4, 13))
        mixed = np.where((((a * x + b * y) // 2) % period < period / 2)[..., None], first, second)
    elif kind == 2:
        period = int(rng.integers(3, 16))
        mixed = np.where(((x // period + y // period) % 2 == 0)[..., None], first, second)
    else:
        mixed = first + (second - first) * (x / max(width - 1, 1))[..., None]
    amount = int(rng.integers(0, 60))
    grain = rng.integers(-amount, amount + 1, (height, width, 1))
    return np.clip(mixed + grain + 0.5, 0, 255).astype(np.uint8)


def draw(image: np.ndarray, patch: Patch, pixels: np.ndarray) -> None:
    """Paint ``pixels`` [patch height, patch width, 3] into ``image`` [h, w, 3] in place, cut at the edge."""
    rows, columns = patch.within(*image.shape[:2])
    image[rows, columns] = pixels[
        rows.start - patch.y0 : rows.stop - patch.y0, columns.start - patch.x0 : columns.stop - patch.x0
    ]


def hide_map(labels: np.ndarray, patch: Patch, image_size: tuple[int, int]) -> None:
    """Mark in place the cells of a label map [mh, mw] whose centres lie behind the patch as occluder (-2).

    ``image_size`` is (height, width) of the image that the patch was drawn in.
    """
    height, width = labels.shape
    y = (np.arange(height) + 0.5) * image_size[0] / height
    x = (np.arange(width) + 0.5) * image_size[1] / width
    rows, columns = (y >= patch.y0) & (y < patch.y1), (x >= patch.x0) & (x < patch.x1)
    labels[np.ix_(rows, columns)] = OCCLUDER
