"""What people wear: which garment covers a point of the rest pose, and how far it stands off."""

from __future__ import annotations

import numpy as np
from numba import njit

from nbf_data_synthetic import colours, textures
from nbf_data_synthetic.noise import noise3

SKIN, SHIRT, TROUSERS, SHOES, HAIR, UNDER, SOCKS, EYES, MOUTH = range(9)
SLEEVE, BELT, STRIPE, GLOVES, SOLE, BEARD, GLASSES, COLLAR = range(9, 17)
GARMENTS = 17

# Landmarks of the rest pose (metres): indices into the array that `landmarks` makes.
EYE_X, EYE_Y, EYE_Z, NOSE_Y, EAR_Z, NECK_Y, SHOULDER_X, WRIST_X, HIP_Y, KNEE_Y, ANKLE_Y, SHOULDER_Y = range(12)

# An outfit's cuts (metres in the rest pose) and looseness: indices into the array that `draw_cuts` makes.
SLEEVE_X, HEM_Y, COLLAR_Y, NECKLINE, LEG_Y, SHOE_Y, SOCK_Y, HAIR_BASE, HAIR_SLOPE, HAIR_LOW, OPEN_X = range(11)
SHIRT_OFF, TROUSERS_OFF, SHOES_OFF, HAIR_OFF, FOLD_FREQUENCY, FOLD_DEPTH, FOLD_SEED = range(11, 18)
(
    BUMP,
    FOLD_SLANT,
    STRAND,
    SLEEVE_FROM,
    BELT_WIDE,
    STRIPE_WIDE,
    GLOVE_X,
    BEARD_Y,
    SPECTACLES,
    MANE_Y,
    SKIRT_Y,
    HAT,
    TRIM,
) = range(18, 31)
CUTS = 31


def landmarks(joints: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """Landmarks of a body at rest: SMPL's joints [24, 3] and OpenPose-25 keypoints [25, 3] in metres."""
    nose, eye, ear = keypoints[0], keypoints[16], keypoints[18]
    hip, knee, ankle, neck, shoulder, wrist = joints[[1, 4, 7, 12, 16, 20]]
    head = [*eye, nose[1], ear[2], neck[1]]
    return np.array([*head, shoulder[0], wrist[0], hip[1], knee[1], ankle[1], shoulder[1]], np.float64)


def draw_cuts(rng: np.random.Generator, m: np.ndarray) -> np.ndarray:
    """A random outfit for a body with landmarks ``m``."""
    u = rng.random
    o = np.zeros(CUTS)
    arm = m[WRIST_X] - m[SHOULDER_X]
    sleeve = (-0.12 + 0.2 * u(), 0.3 + 0.35 * u(), 0.7 + 0.25 * u(), 1.0)[int(rng.integers(4))]
    o[SLEEVE_X] = m[SHOULDER_X] + arm * sleeve
    o[HEM_Y] = m[HIP_Y] + 0.12 - 0.32 * u() ** 1.5
    o[COLLAR_Y] = m[NECK_Y] - 0.06 + 0.08 * u()
    o[NECKLINE] = 0.0 if u() < 0.4 else 0.14 * u()
    legs = (m[KNEE_Y] + 0.25 - 0.3 * u(), m[ANKLE_Y] + 0.12 * u(), m[ANKLE_Y] - 0.02)[int(rng.integers(3))]
    o[LEG_Y] = legs
    o[SKIRT_Y] = 9.0
    if u() < 0.1:  # a skirt, or a dress where the shirt goes down as far
        o[SKIRT_Y] = o[LEG_Y] = m[KNEE_Y] + 0.25 - 0.45 * u()
        if u() < 0.5:
            o[HEM_Y] = o[LEG_Y]
    o[SHOE_Y] = m[ANKLE_Y] - 0.02 + 0.08 * u() ** 2
    if u() < 0.1:
        o[SHOE_Y] = -9.0
    elif u() < 0.08:
        o[SHOE_Y] = m[KNEE_Y] - 0.1 - 0.2 * u()
    o[SOCK_Y] = m[ANKLE_Y] + 0.3 * u() ** 2 if u() < 0.6 else -9.0
    o[OPEN_X] = 0.02 + 0.06 * u() if u() < 0.15 else 0.0
    if u() < 0.05:
        o[SLEEVE_X], o[HEM_Y] = -1.0, 9.0  # no shirt
    o[SHIRT_OFF] = 0.004 + 0.03 * u() ** 2
    o[TROUSERS_OFF] = 0.004 + 0.03 * u() ** 2
    o[SHOES_OFF] = 0.004 + 0.008 * u()
    o[FOLD_FREQUENCY] = 9 + 14 * u()
    o[FOLD_DEPTH] = 0.4 + 0.6 * u()
    o[FOLD_SEED] = int(rng.integers(1 << 20))
    o[BUMP] = 0.003 + 0.016 * u() ** 1.3
    o[FOLD_SLANT] = 1.6 * (u() - 0.5)
    o[SLEEVE_FROM] = m[SHOULDER_X] + arm * (0.25 * u() - 0.1) if u() < 0.2 else 9.0
    o[BELT_WIDE] = 0.015 + 0.03 * u() if u() < 0.3 else 0.0
    o[STRIPE_WIDE] = 0.012 + 0.03 * u() if u() < 0.2 else 0.0
    o[GLOVE_X] = m[WRIST_X] - 0.04 * u() if u() < 0.06 else 9.0
    o[TRIM] = 0.015 + 0.03 * u() if u() < 0.25 else 0.0
    _draw_head(rng, o, m)
    return o


def _draw_head(rng: np.random.Generator, o: np.ndarray, m: np.ndarray) -> None:
    """Hair, hat, beard and glasses into the outfit ``o``."""
    u = rng.random
    o[HAIR_BASE] = -0.03 + 0.05 * u()
    o[HAIR_SLOPE] = 0.3 + 0.5 * u()
    o[HAIR_LOW] = 0.05 * u() if u() < 0.6 else 0.3 * u()
    o[HAIR_OFF] = 0.006 + 0.02 * u()
    o[STRAND] = 60 + 120 * u()
    o[MANE_Y] = 9.0
    style = u()
    if style < 0.08:
        o[HAIR_BASE] = 9.0  # bald
    elif style < 0.22:
        o[HAIR_BASE], o[HAIR_SLOPE], o[HAIR_LOW], o[HAT] = 0.035, 0.05, 0.0, 1.0
    elif style < 0.42:
        o[HAIR_LOW] = 0.3
        o[MANE_Y] = m[SHOULDER_Y] + 0.05 - 0.3 * u()  # long hair down the back
        o[HAIR_OFF] = 0.02 + 0.018 * u()
    o[BEARD_Y] = m[NOSE_Y] - 0.018 - 0.05 * u() if u() < 0.14 else -9.0
    o[SPECTACLES] = 1.0 if u() < 0.14 else 0.0


def draw_textures(rng: np.random.Generator, parts: bool, outfit: np.ndarray) -> np.ndarray:
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
    rows[HAIR] = rows[BEARD] = textures.plain(rng, colours.hair(rng), 0.35)
    if outfit[HAT] > 0.0:
        rows[HAIR] = textures.random_texture(rng, plain_share=0.7)
    rows[UNDER] = textures.random_texture(rng, plain_share=0.6)
    rows[SOCKS] = textures.random_texture(rng, plain_share=0.7)
    rows[EYES] = textures.plain(rng, np.array([0.1, 0.08, 0.07]), 0.0)
    rows[MOUTH] = textures.plain(rng, tone * np.array([0.85, 0.5, 0.5]), 0.0)
    for garment_, share in ((SLEEVE, 0.7), (BELT, 0.9), (STRIPE, 1.0), (GLOVES, 0.9), (COLLAR, 0.9)):
        rows[garment_] = textures.random_texture(rng, plain_share=share)
    if rng.random() < 0.3:
        rows[SLEEVE] = rows[UNDER]
    rows[SOLE] = textures.plain(rng, colours.any_colour(rng, 0.9), 0.0)
    rows[GLASSES] = textures.plain(rng, colours.any_colour(rng, 0.9) * 0.3, 0.0)
    if parts:
        rows[:, textures.KIND] = textures.PARTS
    return rows


@njit(cache=True, nogil=True)
def _on_head(part, x, y, z, o, m):
    ax = abs(x)
    front = z - m[EAR_Z]
    over = y - m[EYE_Y] - o[HAIR_BASE]
    if (
        over > o[HAIR_SLOPE] * front - 0.02
        and (over > -o[HAIR_LOW] - 0.02 or front < -0.03)
        and (y > m[NECK_Y] + 0.03 - o[HAIR_LOW] or front > 0.0)
    ):
        return HAIR
    if part == 12:
        return SHIRT if y < o[COLLAR_Y] and o[HEM_Y] < 5.0 else SKIN
    face = z > m[EYE_Z] - 0.03
    dx, dy = (ax - m[EYE_X]) / 0.015, (y - m[EYE_Y]) / 0.008
    reach = dx * dx + dy * dy
    if o[SPECTACLES] > 0.0 and z > m[EAR_Z]:
        dy = (y - m[EYE_Y] + 0.004) / 0.018
        rim = (ax - m[EYE_X]) / 0.026
        rim = rim * rim + dy * dy
        if (face and rim < 1.3 and rim > 0.75) or (rim > 1.0 and abs(y - m[EYE_Y] - 0.006) < 0.004):
            return GLASSES
    if face and reach < 1.0:
        return EYES
    brow = (y - m[EYE_Y] - 0.022) / 0.005
    if face and abs(ax - m[EYE_X]) < 0.018 and brow * brow < 1.0:
        return BEARD
    dx, dy = ax / 0.024, (y - m[NOSE_Y] + 0.045) / 0.008
    if z > m[EYE_Z] - 0.02 and dx * dx + dy * dy < 1.0:
        return MOUTH
    return BEARD if y < o[BEARD_Y] and front > 0.01 and y > m[NECK_Y] + 0.01 else SKIN


@njit(cache=True, nogil=True)
def _on_trunk(part, x, y, z, o, m):
    ax = abs(x)
    if y > o[MANE_Y] and z < 0.02 and ax < 0.13 and part != 6 and part != 3:
        return HAIR
    if ax > o[SLEEVE_X] or y < o[HEM_Y]:
        low = y < o[HEM_Y] and y < m[HIP_Y] + 0.12 and part < 13
        if low and o[HEM_Y] < 5.0 and y > o[HEM_Y] - o[BELT_WIDE]:
            return BELT
        return TROUSERS if low else SKIN
    over = y - m[SHOULDER_Y] - 0.06 + o[NECKLINE]
    if z > 0.0 and over > 0.0 and ax < 0.02 + over * 0.7:
        return SKIN
    if z > 0.0 and ax < o[OPEN_X]:
        return UNDER
    if ax > o[SLEEVE_FROM]:
        return COLLAR if ax > o[SLEEVE_X] - o[TRIM] else SLEEVE
    if ax > o[SLEEVE_X] - o[TRIM] or y < o[HEM_Y] + 0.7 * o[TRIM]:
        return COLLAR
    return SHIRT


@njit(cache=True, nogil=True)
def garment(part, x, y, z, o, m):
    """The garment over a rest point whose body part is ``part`` (SMPL joint)."""
    ax = abs(x)
    if part == 15 or part == 12:
        return _on_head(part, x, y, z, o, m)
    if part >= 20:
        return GLOVES if ax > o[GLOVE_X] else SKIN
    if part == 7 or part == 8 or part == 10 or part == 11 or ((part == 4 or part == 5) and y < o[SHOE_Y]):
        if y < o[SHOE_Y]:
            return SOLE if y < m[ANKLE_Y] - 0.055 else SHOES
        if y < o[SOCK_Y]:
            return SOCKS
        return TROUSERS if y > o[LEG_Y] else SKIN
    if part >= 13 or part == 9 or part == 6 or part == 3:
        if part >= 18 and ax > o[GLOVE_X]:
            return GLOVES
        return _on_trunk(part, x, y, z, o, m)
    if y > o[HEM_Y]:
        return SHIRT
    if part == 0 and y > o[HEM_Y] - o[BELT_WIDE]:
        return BELT
    if y > o[LEG_Y]:
        outer = ax > m[SHOULDER_X] * 0.5 and abs(z + 0.01) < o[STRIPE_WIDE] and o[SKIRT_Y] > 5.0
        return STRIPE if outer else TROUSERS
    return SOCKS if y < o[SOCK_Y] and (part == 4 or part == 5) else SKIN


@njit(cache=True, nogil=True)
def dress(vertices, normals, rest, parts, o, m, out):
    """Move posed vertices [V, 3] outwards by what is worn there, with smooth folds, into ``out``."""
    seed, f = int(o[FOLD_SEED]), o[FOLD_FREQUENCY]
    for i in range(len(vertices)):
        x, y, z = rest[i, 0], rest[i, 1], rest[i, 2]
        worn = garment(parts[i], x, y, z, o, m)
        off = 0.0
        if worn == SHIRT or worn == UNDER or worn == SLEEVE or worn == COLLAR:
            off = o[SHIRT_OFF]
        elif worn == TROUSERS or worn == STRIPE or worn == BELT:
            off = o[TROUSERS_OFF]
        elif worn == SHOES or worn == SOLE:
            off = o[SHOES_OFF]
        elif worn == HAIR and (y > m[EYE_Y] + 0.03 or z < m[EAR_Z]):
            off = o[HAIR_OFF]
        elif worn == BEARD:
            off = 0.004
        if off > 0.0:
            fold = noise3(x * f, y * f * 0.7, z * f, seed) + 0.5 * noise3(
                x * f * 2.3, y * f * 2.3, z * f * 2.3, seed + 9
            )
            depth = o[FOLD_DEPTH]
            cloth = worn != HAIR and worn != BEARD
            off = off * (1 - depth + depth * 1.4 * fold) + (0.006 * (fold - 0.75) * depth if cloth else 0.0)
            off = min(off, 0.04)
        for c in range(3):
            out[i, c] = vertices[i, c] + off * normals[i, c]
