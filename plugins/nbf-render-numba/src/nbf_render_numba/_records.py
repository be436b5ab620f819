"""What the compiled functions hand to one another. Geometry is float64 throughout.

``b`` people, ``k`` kernels each, pictures of ``h`` x ``w``; ``p`` pairs of pixel and kernel, ``n`` pixels that see
something, ``t`` bands. A band is a range of rows of one person, and one task; bands follow the scene alone, never the
number of threads, so results are the same to the last bit on any number of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Setting(NamedTuple):
    """What does not change from pixel to pixel."""

    height: int
    width: int
    cutoff: float
    absorptivity: float
    limit: int  # how many kernels a pixel keeps


class Scene(NamedTuple):
    """Kernels and cameras."""

    means: np.ndarray  # [b k, 3]
    precision: np.ndarray  # [b k, 1] isotropic, or [b k, 9]
    camera: np.ndarray  # [b, 4]: focal length x and y, principal point x and y
    kernels: int  # k


class Bands(NamedTuple):
    """Rows ``row`` to ``end`` of ``person``; their pairs from ``pair`` on, their seen pixels from ``pixel`` on."""

    person: np.ndarray  # [t] int64
    row: np.ndarray  # [t] int64
    end: np.ndarray  # [t] int64
    pair: np.ndarray  # [t + 1] int64, by the number of candidates, so an upper bound
    pixel: np.ndarray  # [t + 1] int64, into the n pixels; counts until they are summed up
    fullest: np.ndarray  # [t] int64: most kernels kept in a pixel


class Pairs(NamedTuple):
    """Pairs by pixel, the kept ones of each pixel first and nearest first."""

    kernel: np.ndarray  # [p] int32, within the person
    depth: np.ndarray  # [p], in units of the direction with z = 1
    density: np.ndarray  # [p]: exp(-a) of the kept ones, the activation a of the others
    weight: np.ndarray  # [p]


class Seen(NamedTuple):
    """The pixels that see something."""

    pixel: np.ndarray  # [n] int64, into (b, h, w)
    first: np.ndarray  # [n] int64: the pixel's first pair
    kept: np.ndarray  # [n] int32: how many of its pairs are kept


class Lists(NamedTuple):
    """The fragments of the contract, ``m`` slots, and the silhouette, in the dtype of the output."""

    kernel: np.ndarray  # [n, m] int64
    weight: np.ndarray  # [n, m]
    depth: np.ndarray  # [n, m]
    truncated: np.ndarray  # [n] int64
    lost: np.ndarray  # [n]
    silhouette: np.ndarray  # [b h w]


class Pull(NamedTuple):
    """Gradients that come from outside, each of size 0 where there is none; silhouettes are flat over (b, h, w).

    The gradient of a pair's weight is ``scale[pixel] along[pair]`` plus those of silhouette and weight.
    """

    scale: np.ndarray  # [b h w]; 1 where of size 0
    along: np.ndarray  # [p]
    silhouette: np.ndarray  # [b h w]
    weight: np.ndarray  # [n, m]
    depth: np.ndarray  # [n, m]


class Push(NamedTuple):
    """Gradients found in each band, to be summed over a person's bands."""

    means: np.ndarray  # [t, k, 3]
    precision: np.ndarray  # [t, k, 1 or 9]; [t, k, 0] where not wanted
    camera: np.ndarray  # [t, 4]
