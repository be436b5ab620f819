"""Chooses the kernels on the rest mesh: mirror-symmetric farthest points, their cells and neighbours."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

# Limb (nbf_core.conventions.LIMBS) of each of the 24 parts: hands go with the lower arm, feet with the calf.
LIMB_OF_PART = np.array([0, 3, 7, 0, 4, 8, 0, 4, 8, 0, 4, 8, 0, 0, 0, 0, 2, 6, 1, 5, 1, 5, 1, 5])


def mesh_graph(vertices: np.ndarray, faces: np.ndarray, mirror: np.ndarray) -> coo_matrix:
    """Edges of the mesh and of its mirror image, weighted by length, [V, V]."""
    a = np.concatenate([faces, mirror[faces]])
    pairs = np.concatenate([a[:, [0, 1]], a[:, [1, 2]], a[:, [2, 0]]])
    pairs = np.unique(np.sort(pairs, 1), axis=0)
    length = np.linalg.norm(vertices[pairs[:, 0]] - vertices[pairs[:, 1]], axis=1)
    size = len(vertices)
    return coo_matrix((np.maximum(length, 1e-9), (pairs[:, 0], pairs[:, 1])), shape=(size, size)).tocsr()


def _farthest(points: np.ndarray, candidates: np.ndarray, spacing: float, chosen: list[int]) -> list[int]:
    """Add candidates, the farthest first, until none is farther than `spacing` from all chosen."""
    distance = cKDTree(points[chosen]).query(points[candidates])[0]
    added = []
    while distance.max() > spacing:
        best = candidates[distance.argmax()]
        added.append(int(best))
        distance = np.minimum(distance, np.linalg.norm(points[candidates] - points[best], axis=1))
    return added


def choose(vertices: np.ndarray, graph, mirror: np.ndarray, spacing: float) -> np.ndarray:
    """Kernel vertices: first the midline, then the left half, then the left half's mirror image.

    Only the skin (the largest connected piece) carries kernels. Left kernels keep half a spacing off the
    midline so that mirror pairs do not crowd there.
    """
    label = connected_components(graph, directed=False)[1]
    skin = label == np.bincount(label).argmax()
    middle = np.flatnonzero(skin & (np.abs(vertices[:, 0]) < 1e-4))
    top = int(middle[vertices[middle, 1].argmax()])
    line = [top, *_farthest(vertices, middle, spacing, [top])]
    half = np.flatnonzero(skin & (vertices[:, 0] > 0.45 * spacing))
    left = _farthest(vertices, half, spacing, line)
    return np.array(line + left + [int(mirror[v]) for v in left])


def choose_count(vertices, graph, mirror, count: int) -> tuple[np.ndarray, float]:
    """The kernels for the spacing (bisection between 3 and 6 cm) that gives about `count` of them."""
    low, high = 0.03, 0.06
    for _ in range(14):
        spacing = (low + high) / 2
        kernels = choose(vertices, graph, mirror, spacing)
        if abs(len(kernels) - count) <= 2:
            break
        low, high = (spacing, high) if len(kernels) > count else (low, spacing)
    return kernels, spacing


def mirror_of(kernels: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Permutation of the kernels under mirroring."""
    place = {int(vertex): i for i, vertex in enumerate(kernels)}
    return np.array([place[int(mirror[vertex])] for vertex in kernels])


def cells(vertices, graph, kernels, kernel_mirror, mirror) -> np.ndarray:
    """Nearest kernel of each vertex over the surface, [V]; loose pieces (eyeballs) go by plain distance.

    Computed for the left half and mirrored, so that cells are each other's mirror images.
    """
    _, _, source = dijkstra(graph, directed=False, indices=kernels, min_only=True, return_predecessors=True)
    place = np.full(len(vertices), -1)
    place[kernels] = np.arange(len(kernels))
    nearest = np.where(source >= 0, place[source], -1)
    loose = nearest < 0
    nearest[loose] = cKDTree(vertices[kernels]).query(vertices[loose])[1]
    right = vertices[:, 0] < 0
    nearest[right] = kernel_mirror[nearest[mirror[right]]]
    return nearest


def neighbours(graph, nearest: np.ndarray, kernel_mirror: np.ndarray) -> np.ndarray:
    """Pairs [E, 2], first < second, of kernels whose cells touch on the mesh."""
    edges = graph.tocoo()
    a, b = nearest[edges.row], nearest[edges.col]
    pairs = np.stack([a, b], 1)[a != b]
    pairs = np.concatenate([pairs, kernel_mirror[pairs]])
    return np.unique(np.sort(pairs, 1), axis=0)
