"""The pose detector's output: anchors, decoding, and non-maximum suppression.

The network sees a square of ``SIDE`` pixels and answers, for each of 2,254 anchors, with a score
and 12 numbers: centre and size of a box around the head, and four points (hip centre, full-body
size point, shoulder centre, upper-body size point). All are offsets from the anchor's centre in
pixels of that square.

Source: the graph description that is published with the model (BlazePose, Bazarevsky et al., 2020).
"""

from __future__ import annotations

import numpy as np

SIDE = 224
_STRIDES = (8, 16, 32, 32, 32)
_ANCHORS_PER_CELL = 2  # in each of the five layers


def anchor_centres() -> np.ndarray:
    """Centres of all anchors, float32 [2254, 2], (x, y) in units of the network's square (0 to 1).

    The order is the network's: layers of equal stride are interleaved cell by cell, so a cell of
    stride 32 has 3 x 2 anchors in a row.
    """
    layers = []
    for stride in sorted(set(_STRIDES)):
        cells = SIDE // stride
        repeats = _ANCHORS_PER_CELL * _STRIDES.count(stride)
        y, x = np.mgrid[0:cells, 0:cells]
        centres = (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) / cells
        layers.append(np.repeat(centres, repeats, axis=0))
    return np.concatenate(layers).astype(np.float32)


def decode(
    raw: np.ndarray, logits: np.ndarray, anchors: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turn raw output into candidates whose score is at least ``threshold``, best first.

    raw [A, 12], logits [A], anchors [A, 2] give boxes [n, 4] (x0, y0, x1, y1), points [n, 4, 2] and
    scores [n]; coordinates in units of the network's square.
    """
    scores = 1.0 / (1.0 + np.exp(-np.clip(logits.astype(np.float64), -100.0, 100.0)))
    keep = np.flatnonzero(scores >= threshold)
    keep = keep[np.argsort(-scores[keep], kind="stable")]
    raw, anchors = raw[keep].astype(np.float64) / SIDE, anchors[keep].astype(np.float64)
    centre, half = anchors + raw[:, 0:2], raw[:, 2:4] / 2
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    points = raw[:, 4:12].reshape(-1, 4, 2) + anchors[:, None]
    return boxes, points, scores[keep]


def overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of one box [4] with others [n, 4]: [n] in 0 to 1."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=1)
    area = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1)
    return shared / np.maximum(area - shared, 1e-12)


def suppress(
    boxes: np.ndarray, points: np.ndarray, scores: np.ndarray, max_overlap: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merge candidates that overlap by more than ``max_overlap``: one per person, best first.

    The members of a group are averaged, weighted by their scores (the detector's points jitter from
    anchor to anchor, the mean is steadier); the group keeps its best score. Shapes as in `decode`.
    """
    out_boxes, out_points, out_scores = [], [], []
    left = np.arange(len(scores))
    while len(left):
        group = left[overlaps(boxes[left[0]], boxes[left]) > max_overlap]
        group = np.union1d(group, left[:1])  # a box of no area does not even overlap itself
        weight = scores[group] / scores[group].sum()
        out_boxes.append(weight @ boxes[group])
        out_points.append(np.tensordot(weight, points[group], axes=1))
        out_scores.append(scores[left[0]])
        left = np.setdiff1d(left, group)
    return (
        np.array(out_boxes).reshape(-1, 4),
        np.array(out_points).reshape(-1, 4, 2),
        np.array(out_scores),
    )
