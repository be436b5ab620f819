"""Random colours: linear-light-like RGB in [0, 1], as float64 triples."""

from __future__ import annotations

import numpy as np

# From light to dark; mixed between neighbours.
_SKIN = np.array(
    [
        [0.95, 0.78, 0.68],
        [0.88, 0.68, 0.55],
        [0.78, 0.57, 0.42],
        [0.62, 0.42, 0.29],
        [0.44, 0.28, 0.19],
        [0.29, 0.18, 0.13],
    ]
)
_HAIR = np.array(
    [
        [0.06, 0.05, 0.05],
        [0.16, 0.1, 0.07],
        [0.33, 0.2, 0.11],
        [0.62, 0.46, 0.24],
        [0.8, 0.7, 0.5],
        [0.55, 0.53, 0.52],
        [0.5, 0.2, 0.1],
    ]
)


def from_hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """The colour wheel, all in [0, 1]."""
    wheel = np.clip(np.abs((hue * 6 + np.array([0.0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return value * (1 + saturation * (wheel - 1))


def any_colour(rng: np.random.Generator, grey: float = 0.3) -> np.ndarray:
    """Any colour; a share ``grey`` is black, white or nearly grey."""
    hue, value = rng.random(), 0.06 + 0.9 * rng.random()
    saturation = 0.12 * rng.random() if rng.random() < grey else rng.random() ** 1.3
    return from_hsv(hue, saturation, value)


def near(rng: np.random.Generator, colour: np.ndarray, spread: float) -> np.ndarray:
    """A colour not far from ``colour``."""
    return np.clip(colour + spread * (rng.random(3) - 0.5) * 2, 0.02, 1)


def _between(rng: np.random.Generator, table: np.ndarray) -> np.ndarray:
    at = rng.random() * (len(table) - 1)
    low = int(at)
    return table[low] + (table[low + 1] - table[low]) * (at - low)


def skin(rng: np.random.Generator) -> np.ndarray:
    """A tone of skin."""
    return near(rng, _between(rng, _SKIN), 0.04)


def hair(rng: np.random.Generator) -> np.ndarray:
    """A colour of hair, rarely dyed."""
    if rng.random() < 0.06:
        return any_colour(rng, 0.0)
    return near(rng, _HAIR[int(rng.integers(len(_HAIR)))], 0.05)
