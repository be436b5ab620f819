"""Value noise from integer hashes: plain IEEE arithmetic, the same bits on every machine."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def lattice(x, y, z, seed):
    """A number in [0, 1) for a point of the integer lattice."""
    h = (x * 374761393 + y * 668265263 + z * 1442695041 + seed * 974634777) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 15)) * 1103515245) & 0xFFFFFFFF
    return (h ^ (h >> 16)) / 4294967296.0


@njit(cache=True, nogil=True)
def noise2(x, y, seed):
    """Smooth noise in [0, 1) over the plane, one cell a unit."""
    fx, fy = np.floor(x), np.floor(y)
    ix, iy = int(fx), int(fy)
    u, v = x - fx, y - fy
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    a, b = lattice(ix, iy, 0, seed), lattice(ix + 1, iy, 0, seed)
    c, d = lattice(ix, iy + 1, 0, seed), lattice(ix + 1, iy + 1, 0, seed)
    top = a + (b - a) * u
    return top + (c + (d - c) * u - top) * v


@njit(cache=True, nogil=True)
def noise3(x, y, z, seed):
    """Smooth noise in [0, 1) over space, one cell a unit."""
    fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
    ix, iy, iz = int(fx), int(fy), int(fz)
    u, v, w = x - fx, y - fy, z - fz
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    level = 0.0
    for k in range(2):
        a, b = lattice(ix, iy, iz + k, seed), lattice(ix + 1, iy, iz + k, seed)
        c, d = lattice(ix, iy + 1, iz + k, seed), lattice(ix + 1, iy + 1, iz + k, seed)
        top = a + (b - a) * u
        here = top + (c + (d - c) * u - top) * v
        if w == 0.0:
            return here
        level = here if k == 0 else level + (here - level) * w
    return level
