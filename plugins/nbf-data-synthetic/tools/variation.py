"""Poses derived from clips and, for training, drawn more broadly: so that arms and legs go everywhere.

Rotations [24, 3, 3] are relative to the parent. Angles are in degrees; about x a positive angle bends
forwards (the spine) or backwards (a leg), about y it turns left, about z it raises the left side.
"""

from __future__ import annotations

import numpy as np
from rotations import about, matrix_from_rotvec, rotvec_from_matrix

MIRROR = np.array([0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22])
_FLIP = np.diag([-1.0, 1, 1])

# Standard deviation of the variation added to each joint about (x, y, z), for the left side.
_NOISE = {
    0: (4, 0, 4), 1: (6, 6, 4), 3: (4, 4, 3), 4: (7, 2, 1), 6: (4, 4, 3), 7: (8, 6, 5), 9: (4, 4, 3),
    10: (8, 2, 2), 12: (6, 8, 5), 13: (2, 5, 6), 15: (7, 10, 5), 16: (10, 9, 9), 18: (12, 10, 2),
    20: (6, 8, 15), 22: (4, 5, 16),
}  # fmt: skip
# Limits about (x, y, z) for the left side: (low, high) each.
_LIMITS = {
    4: ((-2, 150), (-15, 15), (-10, 10)), 18: ((-80, 80), (-152, 2), (-12, 12)),
    7: ((-35, 55), (-30, 30), (-30, 30)), 10: ((-40, 40), (-10, 10), (-10, 10)),
    20: ((-30, 30), (-35, 35), (-70, 70)), 22: ((-20, 20), (-20, 20), (-80, 25)),
    13: ((-15, 15), (-25, 25), (-20, 40)), 12: ((-40, 40), (-50, 50), (-30, 30)),
    15: ((-35, 35), (-50, 50), (-30, 30)),
}  # fmt: skip


def mirrored(rotations: np.ndarray) -> np.ndarray:
    """Left and right exchanged."""
    return _FLIP @ rotations[..., MIRROR, :, :] @ _FLIP


def _sides(table: dict) -> dict:
    """The left side's table for both sides."""
    return {**table, **{MIRROR[joint]: value for joint, value in table.items()}}


def vary(rotations: np.ndarray, rng: np.random.Generator, scale: float = 1.0) -> np.ndarray:
    """Joint noise, curled fingers, joint limits."""
    result = rotations.copy()
    for joint, sigma in _sides(_NOISE).items():
        noise = np.deg2rad(np.clip(rng.normal(size=3), -2.5, 2.5) * sigma * scale)
        result[joint] = result[joint] @ matrix_from_rotvec(noise)
    for joint, sign in ((22, -1), (23, 1)):
        result[joint] = result[joint] @ about(2, sign * abs(rng.normal(0, 22)))
    return limited(result)


def limited(rotations: np.ndarray) -> np.ndarray:
    """Hinges and small joints kept within what a body can do."""
    result = rotations.copy()
    for joint, limits in _LIMITS.items():
        low, high = np.deg2rad(np.array(limits, float)).T
        result[joint] = matrix_from_rotvec(np.clip(rotvec_from_matrix(result[joint]), low, high))
        other = MIRROR[joint]
        if other != joint:
            flipped = _FLIP @ result[other] @ _FLIP
            clipped = matrix_from_rotvec(np.clip(rotvec_from_matrix(flipped), low, high))
            result[other] = _FLIP @ clipped @ _FLIP
    return result


def _arm_clears(shoulder: np.ndarray, elbow: np.ndarray) -> bool:
    """Whether a left arm stays out of a plain torso and head (metres from the neck's base)."""
    start = np.array([0.18, 0.0, 0.0])
    bend = start + shoulder @ [0.27, 0, 0]
    forearm = shoulder @ elbow
    points = [bend] + [bend + forearm @ [reach, 0, 0] for reach in (0.08, 0.16, 0.25, 0.33, 0.40)]
    for x, y, z in points:
        if -0.62 < y < 0.08 and (x / 0.17) ** 2 + (z / 0.135) ** 2 < 1:
            return False
        if x**2 + (y - 0.26) ** 2 + (z - 0.03) ** 2 < 0.115**2:
            return False
    return bend[0] > -0.02


def left_arm(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Shoulder and elbow rotations: any direction an arm reaches, hanging ones more often."""
    while True:
        direction = rng.normal(size=3)
        if rng.random() < 0.45:
            direction = np.array([0.35, -1.0, 0.1]) + 0.45 * direction
        direction /= np.linalg.norm(direction)
        x, y, z = direction
        if z < -0.55 or x < -0.45 or (x < 0.05 and z < 0.25 and y < 0.5):
            continue
        axis = np.cross([1.0, 0, 0], direction)
        sine = np.linalg.norm(axis)
        swing = matrix_from_rotvec(axis / max(sine, 1e-9) * np.arctan2(sine, x))
        twist = about(0, np.clip(rng.normal(0, 38), -85, 85))
        bend = abs(rng.normal(0, 25)) if rng.random() < 0.4 else rng.uniform(0, 140)
        elbow = about(1, -min(bend, 148.0)) @ about(0, rng.uniform(-50, 60))
        if _arm_clears(swing @ twist, elbow):
            return swing @ twist, elbow


def _leg(flex: float, spread: float, turn: float, knee: float, ankle: float) -> list[np.ndarray]:
    """A left leg: hip, knee, ankle."""
    hip = about(2, spread) @ about(0, -flex) @ about(1, turn)
    return [hip, about(0, knee), about(0, ankle)]


def legs(rng: np.random.Generator) -> dict[int, np.ndarray]:
    """Both legs: standing, stepping, sitting, squatting, a raised leg, kneeling."""
    u, n = rng.uniform, rng.normal
    kind = rng.choice(6, p=[0.3, 0.25, 0.17, 0.1, 0.12, 0.06])
    chosen = []
    spread = abs(n(5, 7))
    sit, squat = u(65, 110), u(40, 120)
    for side in range(2):
        near = side == 0
        if kind == 0:
            leg = _leg(n(2, 7), spread + n(0, 3), n(8, 10), abs(n(0, 9)), n(0, 6))
        elif kind == 1:
            flex = u(5, 50) if near else u(-28, 10)
            leg = _leg(flex, n(3, 4), n(5, 8), u(2, 65), n(0, 12))
        elif kind == 2:
            leg = _leg(sit + n(0, 8), abs(n(8, 10)), n(0, 12), sit * u(0.6, 1.2), n(0, 10))
        elif kind == 3:
            leg = _leg(
                squat + n(0, 8),
                abs(n(12, 10)),
                n(8, 10),
                min(squat * u(0.9, 1.25), 145),
                -squat * u(0.1, 0.3),
            )
        elif kind == 4:
            leg = (
                _leg(u(30, 115), n(10, 18), n(5, 12), u(0, 110), n(0, 12))
                if near
                else _leg(n(0, 12), n(3, 5), n(5, 8), abs(n(8, 12)), n(0, 6))
            )
        else:
            leg = _leg(u(-10, 45), abs(n(5, 6)), n(0, 8), u(80, 145), n(15, 12))
        if side == 1:
            leg = [_FLIP @ rotation @ _FLIP for rotation in leg]
        chosen.append(leg)
    return {1 + side + 3 * level: chosen[side][level] for side in range(2) for level in range(3)}


def broad(base: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A pose with arms, legs and trunk drawn apart; ``base``, a clip's pose, lends what is not drawn."""
    pose = base.copy()
    for offset in range(2):
        if rng.random() < 0.85:
            shoulder, elbow = left_arm(rng)
            if offset == 1:
                shoulder, elbow = _FLIP @ shoulder @ _FLIP, _FLIP @ elbow @ _FLIP
            pose[16 + offset], pose[18 + offset] = shoulder, elbow
    if rng.random() < 0.75:
        for joint, rotation in legs(rng).items():
            pose[joint] = rotation
        lean, side = rng.normal(6, 12), rng.normal(0, 5)
        if rng.random() < 0.08:
            lean, side = rng.uniform(-90, 100), rng.normal(0, 30)
        pose[0] = about(2, side) @ about(0, lean)
    if rng.random() < 0.75:
        bend, twist, side = rng.normal(8, 16), rng.normal(0, 14), rng.normal(0, 9)
        for joint in (3, 6, 9):
            pose[joint] = about(1, twist / 3) @ about(2, side / 3) @ about(0, bend / 3)
        nod, turn, tilt = rng.normal(2, 12), rng.normal(0, 24), rng.normal(0, 8)
        for joint in (12, 15):
            pose[joint] = about(1, turn / 2) @ about(2, tilt / 2) @ about(0, nod / 2)
    return limited(pose)
