"""Rotations in numpy for the pose script: quaternions are w first, rotations act on column vectors."""

from __future__ import annotations

import numpy as np


def matrix_from_quaternion(q: np.ndarray) -> np.ndarray:
    """[..., 4] (w first, any length but zero) to [..., 3, 3]."""
    w, x, y, z = np.moveaxis(q / np.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def matrix_from_rotvec(v: np.ndarray) -> np.ndarray:
    """Axis-angle [..., 3] in radians to [..., 3, 3]."""
    angle = np.linalg.norm(v, axis=-1, keepdims=True)
    half = angle / 2
    sinc = np.where(angle > 1e-8, np.sin(half) / np.maximum(angle, 1e-12), 0.5)
    return matrix_from_quaternion(np.concatenate([np.cos(half), sinc * v], -1))


def quaternion_from_matrix(m: np.ndarray) -> np.ndarray:
    """[..., 3, 3] to [..., 4], w first and not negative: the eigenvector of Bar-Itzhack's matrix."""
    t = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    k = np.zeros((*m.shape[:-2], 4, 4))
    k[..., 0, 0] = t[0] + t[1] + t[2]
    for i in range(3):
        k[..., i + 1, i + 1] = 2 * t[i] - k[..., 0, 0]
    pairs = {(0, 1): (2, 1), (0, 2): (0, 2), (0, 3): (1, 0)}
    for (i, j), (a, b) in pairs.items():
        k[..., i, j] = k[..., j, i] = m[..., a, b] - m[..., b, a]
    for (i, j), (a, b) in {(1, 2): (0, 1), (1, 3): (0, 2), (2, 3): (1, 2)}.items():
        k[..., i, j] = k[..., j, i] = m[..., a, b] + m[..., b, a]
    q = np.linalg.eigh(k)[1][..., -1]
    return np.where(q[..., :1] < 0, -q, q)


def rotvec_from_matrix(m: np.ndarray) -> np.ndarray:
    """[..., 3, 3] to axis-angle [..., 3], angle at most pi."""
    q = quaternion_from_matrix(m)
    sine = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, q[..., :1])
    return q[..., 1:] * np.where(sine > 1e-9, angle / np.maximum(sine, 1e-12), 2.0)


def about(axis: int, degrees) -> np.ndarray:
    """Rotation [..., 3, 3] about a coordinate axis."""
    v = np.zeros((*np.shape(degrees), 3))
    v[..., axis] = np.deg2rad(degrees)
    return matrix_from_rotvec(v)


def interpolate_quaternions(a: np.ndarray, b: np.ndarray, t) -> np.ndarray:
    """Normalised linear interpolation [..., 4], the short way round."""
    b = np.where((a * b).sum(-1, keepdims=True) < 0, -b, b)
    return (1 - t) * a + t * b
