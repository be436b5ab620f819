"""Where a body stands before a camera, from its keypoints in the image."""

from __future__ import annotations

import numpy as np

LEAST = 4
"""Keypoints that are needed to say where a body stands."""


def translation(points: np.ndarray, keypoints: np.ndarray, focal: np.ndarray, center: np.ndarray) -> np.ndarray | None:
    """The translation [3] that brings ``points`` [n, 3] (metres, the camera's axes) to ``keypoints`` [n, 3] (pixels).

    Least squares of ``f (X + t_x) = (u - c) (Z + t_z)``, which is linear in ``t``, weighted by the confidences: what
    SPIN does (Kolotouros et al., ICCV 2019). None where too few keypoints are known, or they put it behind the camera.
    """
    weight = np.sqrt(np.maximum(keypoints[:, 2], 0.0))
    if (weight > 0).sum() < LEAST:
        return None
    offset = keypoints[:, :2] - center
    rows, targets = [], []
    for axis in (0, 1):
        row = np.zeros((len(points), 3))
        row[:, axis] = focal[axis]
        row[:, 2] = -offset[:, axis]
        rows.append(row * weight[:, None])
        targets.append((offset[:, axis] * points[:, 2] - focal[axis] * points[:, axis]) * weight)
    found = np.linalg.lstsq(np.concatenate(rows), np.concatenate(targets), rcond=None)[0]
    seen = points[weight > 0, 2] + found[2]
    return found if np.isfinite(found).all() and seen.min() > 0.1 else None
