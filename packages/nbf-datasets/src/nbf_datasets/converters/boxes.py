"""Boxes x, y, width, height around people. All have the same room, that of the published crops."""

from __future__ import annotations

import numpy as np

ROOM = 1.2
"""Boxes are larger than what they hold by this factor."""


def around(points: np.ndarray, room: float = ROOM) -> np.ndarray:
    """Boxes [n, 4] around the keypoints [n, k, 3] that have confidence; NaN where fewer than two have."""
    seen = points[..., 2] > 0
    xy = np.where(seen[..., None], points[..., :2], np.nan)
    boxes = np.full((len(points), 4), np.nan)
    enough = seen.sum(1) > 1
    if enough.any():
        low, high = np.nanmin(xy[enough], 1), np.nanmax(xy[enough], 1)
        boxes[enough] = np.concatenate([low, high - low], 1)
    return grown(boxes, room)


def grown(boxes: np.ndarray, room: float = ROOM) -> np.ndarray:
    """Boxes [n, 4] made larger about their middles."""
    center, size = boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:] * room
    return np.concatenate([center - size / 2, size], 1)


def square(center: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Square boxes [n, 4] of ``side`` [n] about ``center`` [n, 2]."""
    size = np.repeat(np.asarray(side)[:, None], 2, 1)
    return np.concatenate([center - size / 2, size], 1)


def inside(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The keypoints [n, k, 3], those outside an image of ``size`` (width, height) without confidence."""
    shown = ((points[..., :2] >= 0) & (points[..., :2] < np.array(size))).all(-1)
    return np.concatenate([points[..., :2], points[..., 2:] * shown[..., None]], -1)


def with_confidence(points: np.ndarray, value: float = 1.0) -> np.ndarray:
    """Places [..., d] with one more number, the confidence."""
    return np.concatenate([points, np.full((*points.shape[:-1], 1), value)], -1)
