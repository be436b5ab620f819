"""Axis-angle rotations of single bodies, composed in numpy: a torch call would cost more than the sum."""

from __future__ import annotations

import numpy as np


def about(axis: int, degrees: float) -> np.ndarray:
    """The axis-angle [3] of a turn about a coordinate axis."""
    vector = np.zeros(3)
    vector[axis] = np.deg2rad(degrees)
    return vector


def _quaternion(v: np.ndarray) -> np.ndarray:
    angle = np.sqrt(v @ v)
    half = 0.5 if angle < 1e-8 else np.sin(angle / 2) / angle
    return np.array([np.cos(angle / 2), *(half * v)])


def matrix(vector: np.ndarray) -> np.ndarray:
    """The rotation matrix [3, 3] of an axis-angle [3] (Rodrigues' formula)."""
    angle = np.sqrt(vector @ vector)
    x, y, z = vector / max(angle, 1e-12)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def compose(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The axis-angle [3] of turning by ``first``, then by ``second``; its angle is at most pi."""
    (aw, ax, ay, az), (bw, bx, by, bz) = _quaternion(second), _quaternion(first)
    w = aw * bw - ax * bx - ay * by - az * bz
    axis = np.array(
        [
            aw * bx + bw * ax + ay * bz - az * by,
            aw * by + bw * ay + az * bx - ax * bz,
            aw * bz + bw * az + ax * by - ay * bx,
        ]
    )
    sine = np.sqrt(axis @ axis)
    scale = 2.0 if sine < 1e-8 else 2 * np.arctan2(sine, abs(w)) / sine
    return axis * (scale if w >= 0 else -scale)
