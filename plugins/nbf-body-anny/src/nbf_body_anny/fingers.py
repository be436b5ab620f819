"""Joints for the fingers of a body whose hands move as one: made up from the mesh alone, for files that need them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FINGERS = ("index", "middle", "pinky", "ring", "thumb")
"""In the order of SMPL-H's joints; from thumb to pinky the hands of a T-pose, palms down, go from front to back."""

_FROM_FRONT = ("thumb", "index", "middle", "ring", "pinky")


@dataclass(frozen=True)
class Hand:
    """Fifteen joints of a hand: regressor ``rows`` [15, V], skinning ``weights`` [15, V], and five fingertips."""

    rows: np.ndarray
    weights: np.ndarray
    tips: tuple[int, ...]


def split_hand(vertices: np.ndarray, faces: np.ndarray, weight: np.ndarray) -> Hand:
    """Divide what one hand's joint moves, ``weight`` [V], among the joints of its fingers.

    Fingertips are the five vertices that lie farthest from the palm and from one another over the surface; a vertex
    belongs to the finger of the nearest tip, and to the third of it in which it lies.
    """
    hand = np.flatnonzero(weight > 0)
    edges = _edges(faces, hand)
    points = vertices[hand]
    lengths = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    palm = np.flatnonzero(weight[hand] < 0.5)
    from_palm = _distances(len(hand), edges, lengths, palm)
    tips: list[int] = []
    reach = from_palm.copy()
    for _ in FINGERS:
        tips.append(int(np.where(np.isfinite(reach), reach, -1).argmax()))
        # Half of the way to a tip belongs to its finger, so the next tip is no second point of the same one.
        reach = np.minimum(reach, _distances(len(hand), edges, lengths, np.array([tips[-1]])) - 0.03)
    tips.sort(key=lambda tip: -points[tip, 2])
    order = [_FROM_FRONT.index(finger) for finger in FINGERS]
    tips = [tips[place] for place in order]
    ways = np.stack([_distances(len(hand), edges, lengths, np.array([tip])) for tip in tips])
    finger = ways.argmin(0)
    rows, weights = np.zeros((15, len(vertices))), np.zeros((15, len(vertices)))
    for number, tip in enumerate(tips):
        own = np.flatnonzero(finger == number)
        along = ways[number][own] / max(from_palm[tip], 1e-6)  # 0 at the tip, 1 at the root
        third = np.clip((3 * (1 - along)).astype(int), 0, 2)
        for part in range(3):
            weights[3 * number + part, hand[own[third == part]]] = weight[hand[own[third == part]]]
            # A joint lies amid the vertices where its third begins.
            near = own[np.abs(along - (1 - part / 3)).argsort()[:12]]
            rows[3 * number + part, hand[near]] = 1 / len(near)
    return Hand(rows, weights, tuple(int(hand[tip]) for tip in tips))


def _edges(faces: np.ndarray, hand: np.ndarray) -> np.ndarray:
    """Directed edges among the vertices ``hand``, by their places in it."""
    place = np.full(int(faces.max()) + 1, -1)
    place[hand] = np.arange(len(hand))
    inner = place[faces]
    inner = inner[(inner >= 0).all(1)]
    pairs = np.concatenate([inner[:, [0, 1]], inner[:, [1, 2]], inner[:, [2, 0]]])
    return np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)


def _distances(count: int, edges: np.ndarray, lengths: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Length of the shortest way over the surface from any of ``sources``, [count]; infinite without one."""
    distance = np.full(count, np.inf)
    distance[sources] = 0
    while True:
        shorter = distance.copy()
        np.minimum.at(shorter, edges[:, 1], distance[edges[:, 0]] + lengths)
        if (shorter == distance).all():
            return distance
        distance = shorter
