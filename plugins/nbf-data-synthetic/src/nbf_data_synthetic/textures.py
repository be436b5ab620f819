"""Patterns that are functions of a point: of the rest pose on cloth, of the picture on backgrounds."""

from __future__ import annotations

import numpy as np
from numba import njit

from nbf_data_synthetic.colours import any_colour, near
from nbf_data_synthetic.noise import lattice, noise3

# A texture is a row of numbers: kind, three colours, a direction times frequency (1/m), a second frequency, a
# threshold, grain strength, grain frequency, seed.
KIND, FIRST, SECOND, THIRD, AXIS, FREQUENCY, THRESHOLD, GRAIN, GRAIN_FREQUENCY, SEED = (
    0,
    1,
    4,
    7,
    10,
    13,
    14,
    15,
    16,
    17,
)
WIDTH = 18
PLAIN, STRIPES, CHECKS, CLOUDS, CAMOUFLAGE, DOTS, PRINT, FADE, MOSAIC, PARTS = range(10)
BRICKS, PLANKS, TILES, FOLIAGE, WINDOWS = range(10, 15)  # for scenes only


def plain(rng: np.random.Generator, colour: np.ndarray, grain: float = 0.08) -> np.ndarray:
    """One colour with a little unevenness."""
    t = np.zeros(WIDTH)
    t[FIRST : FIRST + 3] = t[SECOND : SECOND + 3] = t[THIRD : THIRD + 3] = colour
    t[GRAIN], t[GRAIN_FREQUENCY], t[SEED] = grain, 15 + 80 * rng.random(), int(rng.integers(1 << 20))
    return t


def random_texture(
    rng: np.random.Generator, colour: np.ndarray | None = None, plain_share: float = 0.4, fine: float = 4
) -> np.ndarray:
    """A texture row, plain or patterned; ``fine`` is its lowest frequency (1/m)."""
    colour = any_colour(rng) if colour is None else colour
    t = plain(rng, colour, 0.04 + 0.16 * rng.random())
    if rng.random() < plain_share:
        return t
    t[KIND] = int(rng.integers(1, PARTS))
    t[SECOND : SECOND + 3] = near(rng, colour, 0.3) if rng.random() < 0.4 else any_colour(rng)
    t[THIRD : THIRD + 3] = any_colour(rng)
    direction = np.array([0.0, 1, 0])
    if rng.random() < 0.6:
        direction = rng.random(3) - 0.5
        direction = direction / np.sqrt((direction * direction).sum() + 1e-9)
    frequency = fine * 10 ** rng.random()
    t[AXIS : AXIS + 3] = direction * frequency
    t[FREQUENCY] = frequency * (0.5 + rng.random())
    t[THRESHOLD] = 0.3 + 0.4 * rng.random()
    return t


@njit(cache=True, nogil=True)
def _octaves(x, y, z, seed):
    """Three octaves of smooth noise, about 0 to 1."""
    total = noise3(x, y, z, seed) + 0.5 * noise3(x * 2.17, y * 2.17, z * 2.17, seed + 1)
    return (total + 0.3 * noise3(x * 4.6, y * 4.6, z * 4.6, seed + 2)) / 1.8


@njit(cache=True, nogil=True)
def _built(kind, x, y, z, s, seed):
    """Share of the second colour in the patterns of walls, floors and plants."""
    if kind == FOLIAGE:
        n = noise3(x, y, z, seed) * 0.6 + noise3(x * 3.1, y * 3.1, z * 3.1, seed + 1) * 0.5
        n += noise3(x * 9.0, y * 9.0, z * 9.0, seed + 2) * 0.5
        return min(max((n - 0.8) * 2.5 + 0.5, 0.0), 1.0)
    if kind == WINDOWS:
        u, v = x - np.floor(x), y - np.floor(y)
        return 1.0 if abs(u - 0.5) < 0.18 + 0.2 * s and abs(v - 0.5) < 0.3 else 0.0
    wide = 2.4 if kind == BRICKS else (1.0 if kind == TILES else 7.0)
    row = np.floor(y)
    u = x / wide
    if kind != TILES:
        u += lattice(int(row), 3, 0, seed) if kind == PLANKS else 0.5 * (int(row) % 2)
    cell = np.floor(u)
    gap = 0.05 if kind == PLANKS else 0.09
    if y - row < gap or (u - cell) * wide < gap:
        return 1.0
    return 0.35 * lattice(int(cell), int(row), 1, seed)


@njit(cache=True, nogil=True)
def evaluate(t, x, y, z, part, out):
    """Write the colour of texture row ``t`` at the point (metres) into ``out`` [3]."""
    kind, seed = int(t[KIND]), int(t[SEED])
    f, s = t[FREQUENCY], t[THRESHOLD]
    a = t[AXIS] * x + t[AXIS + 1] * y + t[AXIS + 2] * z
    mix, second = 0.0, True  # share of the second (or the third) colour
    if kind == STRIPES:
        mix = 1.0 if a - np.floor(a) < s else 0.0
    elif kind == CHECKS:
        b = f * (x + 0.5 * z)
        mix = (0.5 if a - np.floor(a) < s else 0.0) + (0.5 if b - np.floor(b) < s else 0.0)
    elif kind == CLOUDS:
        mix = min(max((_octaves(x * f, y * f, z * f, seed) - 0.5) * 2.2 + 0.5, 0.0), 1.0)
    elif kind == CAMOUFLAGE:
        n = _octaves(x * f, y * f, z * f, seed)
        if n > 0.62:
            mix, second = 1.0, False
        elif n > s:
            mix = 1.0
    elif kind == DOTS:
        u, v = x * f * 1.5, y * f * 1.5
        u += 0.5 * (int(np.floor(v)) % 2)
        du, dv = u - np.floor(u) - 0.5, v - np.floor(v) - 0.5
        mix = 1.0 if du * du + dv * dv < 0.12 * (0.4 + s) else 0.0
    elif kind == PRINT:
        half = 0.05 + 0.12 * s
        if z > 0.02 and abs(x) < half and abs(y - 0.3) < half * 0.8:
            cell = lattice(int(np.floor(x * f * 3)), int(np.floor(y * f * 3)), 0, seed)
            mix, second = 1.0, cell < s
    elif kind == FADE:
        mix = min(max(0.5 + a / (2.0 + f) * 2, 0.0), 1.0)
    elif kind == MOSAIC:
        cell = lattice(int(np.floor(x * f)), int(np.floor(y * f)), int(np.floor(z * f)), seed)
        mix, second = (1.0, True) if cell < 0.33 else ((1.0, False) if cell < 0.66 else (0.0, True))
    elif kind >= BRICKS:
        mix = _built(kind, x * f, y * f, z * f, s, seed)
    elif kind == PARTS:
        for c in range(3):
            out[c] = 0.15 + 0.8 * lattice(part, c, 7, 1)
        return
    g = t[GRAIN_FREQUENCY]
    grain = 1.0
    if t[GRAIN] > 0.0:
        grain += t[GRAIN] * 2 * (noise3(x * g, y * g, z * g, seed + 1) - 0.5)
    other = SECOND if second else THIRD
    for c in range(3):
        out[c] = (t[FIRST + c] + (t[other + c] - t[FIRST + c]) * mix) * grain
