"""How far cloth, hair and skin stand off in fine detail: heights that the shading turns into bent normals."""

from __future__ import annotations

from numba import njit

from nbf_data_synthetic.clothes import (
    BUMP,
    FOLD_FREQUENCY,
    FOLD_SEED,
    FOLD_SLANT,
    HAIR,
    HIP_Y,
    KNEE_Y,
    SHOES,
    SHOULDER_X,
    SKIN,
    SOCKS,
    STRAND,
    WRIST_X,
)
from nbf_data_synthetic.noise import noise3


@njit(cache=True, nogil=True)
def height(worn, part, x, y, z, o, m):
    """Height (metres) of the surface over its smooth shape at a rest point, for the garment ``worn`` there.

    Folds of sleeves and trouser legs run around the limb and gather at elbows, knees, crotch and waist; those of a
    shirt hang down and lean to one side.
    """
    seed = int(o[FOLD_SEED])
    if worn == HAIR:
        f = o[STRAND]
        n = noise3(x * f, y * f * 0.12, z * f, seed + 3) + 0.5 * noise3(x * 30.0, y * 8.0, z * 30.0, seed + 4)
        return 0.009 * n
    if worn == SKIN:
        return 0.0012 * noise3(x * 45.0, y * 45.0, z * 45.0, seed + 5)
    if worn == SHOES or worn == SOCKS:
        return 0.003 * noise3(x * 40.0, y * 40.0, z * 40.0, seed + 6)
    f, slant = o[FOLD_FREQUENCY], o[FOLD_SLANT]
    if part >= 16:
        a, b, c = x * f * 1.5 + y * f * slant, y * f * 0.5, z * f * 0.5
        near = (abs(x) - 0.5 * (m[SHOULDER_X] + m[WRIST_X])) / 0.09
    elif part == 1 or part == 2 or part == 4 or part == 5:
        a, b, c = x * f * 0.5, y * f * 1.2 + abs(x) * f * slant, z * f * 0.5
        near = min(abs(y - m[KNEE_Y]), abs(y - m[HIP_Y] + 0.06)) / 0.08
    else:
        a, b, c = x * f * 0.9 + y * f * slant, y * f * 0.4, z * f * 0.8
        near = (y - m[HIP_Y] - 0.14) / 0.12
    gain = 0.45 + 0.9 / (1.0 + near * near)
    n = noise3(a, b, c, seed + 7)
    ridge = 1.0 - abs(2.0 * n - 1.0)
    fine = noise3(a * 2.6, b * 2.6, c * 2.6, seed + 8)
    return o[BUMP] * gain * (ridge * ridge + 0.35 * fine)


@njit(cache=True, nogil=True)
def slope(heights, keys, depth, i, j, metres, out):
    """The change of height along x and y of the picture (per metre) at a pixel, into ``out`` [2].

    Neighbours count where they belong to the same person (``keys``) and lie within 4 cm of depth. ``metres`` is the
    width of a pixel there.
    """
    size = len(heights)
    here, key, z = heights[i, j], keys[i, j], depth[i, j]
    for axis in range(2):
        rise, steps = 0.0, 0
        for sign in (-1, 1):
            a, b = (i, j + sign) if axis == 0 else (i + sign, j)
            if a < 0 or b < 0 or a >= size or b >= size or keys[a, b] != key or abs(depth[a, b] - z) > 0.04:
                continue
            rise += (heights[a, b] - here) * sign
            steps += 1
        out[axis] = rise / (steps * metres) if steps else 0.0
