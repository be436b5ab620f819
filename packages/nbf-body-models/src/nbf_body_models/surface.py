"""The mesh as a graph: neighbours, pieces, distances over the surface, and which vertex mirrors which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Surface:
    """A mesh of ``V`` vertices (metres, x to the person's left) as a graph of ``E`` directed edges.

    ``mirror`` [V] is each vertex's mirror image, None where the mesh has none.
    """

    vertices: np.ndarray
    edges: np.ndarray
    lengths: np.ndarray
    mirror: np.ndarray | None

    @classmethod
    def of(cls, vertices: np.ndarray, faces: np.ndarray, mirror: np.ndarray | None = None) -> Surface:
        """The graph of a mesh; ``mirror`` as the model file gives it, else it is found by position."""
        pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        pairs = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
        lengths = np.linalg.norm(vertices[pairs[:, 0]] - vertices[pairs[:, 1]], axis=1)
        if mirror is None or not _is_mirror(mirror, len(vertices)):
            mirror = _found_mirror(vertices)
        return cls(vertices, pairs, np.maximum(lengths, 1e-9), mirror)

    def pieces(self) -> np.ndarray:
        """For each vertex the smallest vertex it is connected with, [V]."""
        label = np.arange(len(self.vertices))
        while True:
            lower = label.copy()
            np.minimum.at(lower, self.edges[:, 0], label[self.edges[:, 1]])
            lower = lower[lower]
            if (lower == label).all():
                return label
            label = lower

    def nearest(self, sources: np.ndarray) -> np.ndarray:
        """Index of the source nearest to each vertex over the surface, [V]; -1 where no path leads to one."""
        distance = np.full(len(self.vertices), np.inf)
        distance[sources] = 0
        label = np.full(len(self.vertices), -1)
        label[sources] = np.arange(len(sources))
        start, end = self.edges.T
        # Bellman and Ford: a few rounds, as sources lie a few edges apart.
        while True:
            offer = distance[start] + self.lengths
            best = distance.copy()
            np.minimum.at(best, end, offer)
            better = (offer <= best[end]) & (offer < distance[end])
            if not better.any():
                return label
            label[end[better]] = label[start[better]]
            distance = best


def nearest_points(points: np.ndarray, to: np.ndarray) -> np.ndarray:
    """For each of ``points`` [n, 3] the index of the nearest of ``to`` [m, 3]."""
    squares = (to**2).sum(1)
    # In blocks: all pairs of SMPL-X's vertices at once would take a gigabyte.
    blocks = [(squares - 2 * block @ to.T).argmin(1) for block in np.array_split(points, len(points) // 512 + 1)]
    return np.concatenate(blocks)


def _is_mirror(mirror: np.ndarray, count: int) -> bool:
    right = mirror.shape == (count,) and np.issubdtype(mirror.dtype, np.integer)
    return bool(right and mirror.min() >= 0 and mirror.max() < count and (mirror[mirror] == np.arange(count)).all())


def _found_mirror(vertices: np.ndarray) -> np.ndarray | None:
    """Each vertex's mirror image, where nearly all vertices have one that has them for its own."""
    middle = (vertices[:, 0].max() + vertices[:, 0].min()) / 2
    centred = vertices - [middle, 0, 0]
    mirror = nearest_points(centred * [-1, 1, 1], centred)
    mutual = mirror[mirror] == np.arange(len(mirror))
    apart = np.linalg.norm(centred[mirror] * [-1, 1, 1] - centred, axis=1)
    if mutual.mean() < 0.98 or np.median(apart) > 5e-3:
        return None
    # The few others are left to themselves; they are never chosen.
    return np.where(mutual, mirror, -1)
