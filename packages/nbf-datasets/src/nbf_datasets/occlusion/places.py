"""Where occluders lie: from the reference grid of 224 px to whole pixels of an image."""

from __future__ import annotations

from math import ceil

from nbf_core.contracts import Occluder
from nbf_datasets.patches import REFERENCE

NOTHING = Occluder(0, 0, 0, 0)
"""The occluder that covers nothing."""


def scaled(length: float, side: int) -> int:
    """A length on the reference grid in whole pixels of an image with this side; halves go to the even number."""
    return round(length * (side / REFERENCE))


def steps(size: float, stride: float) -> int:
    """Positions along one side; the last patches may reach over the edge and are cut there."""
    return ceil((REFERENCE - size) / stride + 1)


def at_cell(cell: tuple[int, int], size: float, stride: float, image_size: tuple[int, int]) -> Occluder:
    """The patch at (row, column) of the grid in an image of (height, width), cut at the image's edge.

    As published, size and stride are rounded to whole pixels first and positions are multiples of the rounded
    stride; a stride of less than half a pixel is taken as one.
    """
    (y0, y1), (x0, x1) = (_along(place, size, stride, side) for place, side in zip(cell, image_size, strict=True))
    return Occluder(x0, y0, x1, y1, size=size, stride=stride, cell=cell)


def grid(size: float, stride: float, image_size: tuple[int, int]) -> tuple[Occluder, ...]:
    """All ``steps(size, stride)`` squared patches, row by row."""
    count = steps(size, stride)
    return tuple(at_cell((i, j), size, stride, image_size) for i in range(count) for j in range(count))


def around(center: tuple[float, float], size: float, image_size: tuple[int, int]) -> Occluder:
    """The patch with its middle at ``center``, (y, x) as shares of height and width; not cut at the edge."""
    (y0, y1), (x0, x1) = (
        _around(share, scaled(size, side), side) for share, side in zip(center, image_size, strict=True)
    )
    return Occluder(x0, y0, x1, y1, size=size)


def _along(place: int, size: float, stride: float, side: int) -> tuple[int, int]:
    start = min(place * max(1, scaled(stride, side)), side)
    return start, min(side, start + scaled(size, side))


def _around(share: float, length: int, side: int) -> tuple[int, int]:
    start = int(share * side - length / 2)
    return start, start + length
