"""What people wear: which garment covers a point of the rest pose, and how far it stands off."""

from __future__ import annotations

import numpy as np
from numba import njit

from nbf_data_synthetic import colours, textures
from nbf_data_synthetic.noise import noise3

SKIN, SHIRT, TROUSERS, SHOES, HAIR, UNDER, SOCKS, EYES, MOUTH = range(9)
GARMENTS = 9

# Landmarks of the rest pose (metres): indices into the array that `landmarks` makes.
EYE_X, EYE_Y, EYE_Z, NOSE_Y, EAR_Z, NECK_Y, SHOULDER_X, WRIST_X, HIP_Y, KNEE_Y, ANKLE_Y, SHOULDER_Y = range(12)

# An outfit's cuts (metres in the rest pose) and looseness: indices into the array that `draw_cuts` makes.
SLEEVE_X, HEM_Y, COLLAR_Y, NECKLINE, LEG_Y, SHOE_Y, SOCK_Y, HAIR_BASE, HAIR_SLOPE, HAIR_LOW, OPEN_X = range(11)
SHIRT_OFF, TROUSERS_OFF, SHOES_OFF, HAIR_OFF, FOLD_FREQUENCY, FOLD_DEPTH, FOLD_SEED = range(11, 18)


def landmarks(joints: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """Landmarks of a body at rest: SMPL's joints [24, 3] and OpenPose-25 keypoints [25, 3] in metres."""
    nose, eye, ear = keypoints[0], keypoints[16], keypoints[18]
    hip, knee, ankle, neck, shoulder, wrist = joints[[1, 4, 7, 12, 16, 20]]
    head = [*eye, nose[1], ear[2], neck[1]]
    return np.array([*head, shoulder[0], wrist[0], hip[1], knee[1], ankle[1], shoulder[1]], np.float64)


def draw_cuts(rng: np.random.Generator, m: np.ndarray) -> np.ndarray:
    """A random outfit for a body with landmarks ``m``."""
    u = rng.random
    o = np.zeros(18)
    arm = m[WRIST_X] - m[SHOULDER_X]
    sleeve = (-0.12 + 0.2 * u(), 0.3 + 0.35 * u(), 0.7 + 0.25 * u(), 1.0)[int(rng.integers(4))]
    o[SLEEVE_X] = m[SHOULDER_X] + arm * sleeve
    o[HEM_Y] = m[HIP_Y] + 0.12 - 0.32 * u() ** 1.5
    o[COLLAR_Y] = m[NECK_Y] - 0.06 + 0.08 * u()
    o[NECKLINE] = 0.0 if u() < 0.4 else 0.14 * u()
    legs = (m[KNEE_Y] + 0.25 - 0.3 * u(), m[ANKLE_Y] + 0.12 * u(), m[ANKLE_Y] - 0.02)[int(rng.integers(3))]
    o[LEG_Y] = legs
    o[SHOE_Y] = m[ANKLE_Y] - 0.02 + 0.08 * u() ** 2
    if u() < 0.1:
        o[SHOE_Y] = -9.0
    elif u() < 0.08:
        o[SHOE_Y] = m[KNEE_Y] - 0.1 - 0.2 * u()
    o[SOCK_Y] = m[ANKLE_Y] + 0.3 * u() ** 2 if u() < 0.6 else -9.0
    o[HAIR_BASE] = -0.03 + 0.05 * u()
    o[HAIR_SLOPE] = 0.3 + 0.5 * u()
    o[HAIR_LOW] = 0.05 * u() if u() < 0.6 else 0.3 * u()
    style = u()
    if style < 0.08:
        o[HAIR_BASE] = 9.0  # bald
    elif style < 0.2:
        o[HAIR_BASE], o[HAIR_SLOPE], o[HAIR_LOW] = 0.035, 0.05, 0.0  # a hat
    o[OPEN_X] = 0.02 + 0.06 * u() if u() < 0.15 else 0.0
    if u() < 0.05:
        o[SLEEVE_X], o[HEM_Y] = -1.0, 9.0  # no shirt
    o[SHIRT_OFF] = 0.004 + 0.03 * u() ** 2
    o[TROUSERS_OFF] = 0.004 + 0.03 * u() ** 2
    o[SHOES_OFF] = 0.004 + 0.008 * u()
    o[HAIR_OFF] = 0.006 + 0.02 * u()
    o[FOLD_FREQUENCY] = 9 + 14 * u()
    o[FOLD_DEPTH] = 0.4 + 0.6 * u()
    o[FOLD_SEED] = int(rng.integers(1 << 20))
    return o


def draw_textures(rng: np.random.Generator, parts: bool) -> np.ndarray:
    """A texture row for each garment; ``parts`` gives every body part its own fixed colour instead."""
    rows = np.zeros((GARMENTS, textures.WIDTH))
    tone = colours.skin(rng)
    rows[SKIN] = textures.plain(rng, tone, 0.06)
    rows[SHIRT] = textures.random_texture(rng, plain_share=0.35)
    trousers = colours.near(rng, np.array([0.15, 0.22, 0.4]), 0.12) if rng.random() < 0.3 else None
    rows[TROUSERS] = textures.random_texture(rng, trousers, plain_share=0.6)
    if rng.random() < 0.08:
        rows[TROUSERS] = rows[SHIRT]
    rows[SHOES] = textures.random_texture(rng, plain_share=0.7)
    rows[HAIR] = textures.plain(rng, colours.hair(rng), 0.35)
    rows[UNDER] = textures.random_texture(rng, plain_share=0.6)
    rows[SOCKS] = textures.random_texture(rng, plain_share=0.7)
    rows[EYES] = textures.plain(rng, np.array([0.1, 0.08, 0.07]), 0.0)
    rows[MOUTH] = textures.plain(rng, tone * np.array([0.85, 0.5, 0.5]), 0.0)
    if parts:
        rows[:, textures.KIND] = textures.PARTS
    return rows


@njit(cache=True, nogil=True)
def garment(part, x, y, z, o, m):
    """The garment over a rest point whose body part is ``part`` (SMPL joint)."""
    ax = abs(x)
    if part == 15 or part == 12:
        front = z - m[EAR_Z]
        over = y - m[EYE_Y] - o[HAIR_BASE]
        if (
            over > o[HAIR_SLOPE] * front - 0.02
            and (over > -o[HAIR_LOW] - 0.02 or front < -0.03)
            and (y > m[NECK_Y] + 0.03 - o[HAIR_LOW] or front > 0.0)
        ):
            return HAIR
        if part == 15:
            dx, dy = (ax - m[EYE_X]) / 0.015, (y - m[EYE_Y]) / 0.008
            if z > m[EYE_Z] - 0.03 and dx * dx + dy * dy < 1.0:
                return EYES
            brow = (y - m[EYE_Y] - 0.022) / 0.005
            if z > m[EYE_Z] - 0.03 and abs(ax - m[EYE_X]) < 0.018 and brow * brow < 1.0:
                return HAIR
            dx, dy = ax / 0.024, (y - m[NOSE_Y] + 0.045) / 0.008
            if z > m[EYE_Z] - 0.02 and dx * dx + dy * dy < 1.0:
                return MOUTH
            return SKIN
        return SHIRT if y < o[COLLAR_Y] and o[HEM_Y] < 5.0 else SKIN
    if part >= 20:
        return SKIN
    if part == 7 or part == 8 or part == 10 or part == 11 or ((part == 4 or part == 5) and y < o[SHOE_Y]):
        if y < o[SHOE_Y]:
            return SHOES
        if y < o[SOCK_Y]:
            return SOCKS
        return TROUSERS if y > o[LEG_Y] else SKIN
    if part == 4 or part == 5:
        if y > o[LEG_Y]:
            return TROUSERS
        return SOCKS if y < o[SOCK_Y] else SKIN
    if part >= 13 or part == 9 or part == 6 or part == 3:
        if ax > o[SLEEVE_X] or y < o[HEM_Y]:
            return TROUSERS if y < o[HEM_Y] and y < m[HIP_Y] + 0.12 and part < 13 else SKIN
        if (
            z > 0.0
            and y > m[SHOULDER_Y] + 0.06 - o[NECKLINE]
            and ax < 0.02 + (y - m[SHOULDER_Y] - 0.06 + o[NECKLINE]) * 0.7
        ):
            return SKIN
        return UNDER if z > 0.0 and ax < o[OPEN_X] else SHIRT
    if y > o[HEM_Y]:
        return SHIRT
    return TROUSERS if y > o[LEG_Y] else SKIN


@njit(cache=True, nogil=True)
def dress(vertices, normals, rest, parts, o, m, out):
    """Move posed vertices [V, 3] outwards by what is worn there, with smooth folds, into ``out``."""
    seed, f = int(o[FOLD_SEED]), o[FOLD_FREQUENCY]
    for i in range(len(vertices)):
        x, y, z = rest[i, 0], rest[i, 1], rest[i, 2]
        worn = garment(parts[i], x, y, z, o, m)
        off = 0.0
        if worn == SHIRT or worn == UNDER:
            off = o[SHIRT_OFF]
        elif worn == TROUSERS:
            off = o[TROUSERS_OFF]
        elif worn == SHOES:
            off = o[SHOES_OFF]
        elif worn == HAIR and y > m[EYE_Y] + 0.03:
            off = o[HAIR_OFF]
        elif worn == HAIR and z < m[EAR_Z]:
            off = o[HAIR_OFF]
        if off > 0.0:
            fold = noise3(x * f, y * f * 0.7, z * f, seed) + 0.5 * noise3(
                x * f * 2.3, y * f * 2.3, z * f * 2.3, seed + 9
            )
            depth = o[FOLD_DEPTH]
            off = min(
                off * (1 - depth + depth * 1.4 * fold) + (0.006 * (fold - 0.75) * depth if worn != HAIR else 0.0),
                0.04,
            )
        for c in range(3):
            out[i, c] = vertices[i, c] + off * normals[i, c]
