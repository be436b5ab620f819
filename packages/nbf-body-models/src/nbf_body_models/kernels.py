"""The vertices that carry kernels: the published choice from its file, or evenly spread ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nbf_body_models.surface import Surface, nearest_points
from nbf_core.errors import AssetError
from nbf_core.pickles import read_npz

_ROUNDS = 12  # of halving the interval of spacings
_CLOSEST, _FARTHEST = 0.05, 2.0  # spacing, over that of as many points on the sides of the body's box


@dataclass(frozen=True)
class KernelChoice:
    """``K`` vertices and their neighbourhood: ``vertices`` [K], ``neighbours`` [n, 2] or None: where cells touch."""

    vertices: np.ndarray
    neighbours: np.ndarray | None = None


def read_choice(path: Path, vertices: int) -> KernelChoice:
    """The published choice of kernels (its mesh sampling file), or any npz of the same keys.

    ``indices`` [K] are the vertices, ``faces_downsampled`` [f, 3] the triangles over them. Raises AssetError naming
    file and key.
    """
    found = read_npz(path)
    if "indices" not in found:
        raise AssetError(f"{path}: no choice of kernels: it lacks indices")
    chosen = _integers(path, "indices", found["indices"], 1, vertices)
    if len(np.unique(chosen)) != len(chosen):
        raise AssetError(f"{path}: indices: a vertex is there twice")
    if "faces_downsampled" not in found:
        return KernelChoice(chosen)
    faces = _integers(path, "faces_downsampled", found["faces_downsampled"], 2, len(chosen))
    if faces.shape[1] != 3:
        raise AssetError(f"{path}: faces_downsampled has shape {faces.shape}, expected (any, 3)")
    return KernelChoice(chosen, np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]))


def spread_choice(surface: Surface, count: int) -> KernelChoice:
    """About ``count`` vertices of the largest connected piece, farthest points, the right half mirroring the left."""
    label = surface.pieces()
    skin = label == np.bincount(label).argmax()
    if skin.sum() <= count:
        return KernelChoice(np.flatnonzero(skin))
    size = np.ptp(surface.vertices[skin], axis=0)
    scale = np.sqrt(2 * (size[0] * size[1] + size[1] * size[2] + size[0] * size[2]) / count)
    low, high, best = _CLOSEST * scale, _FARTHEST * scale, None
    for _ in range(_ROUNDS):
        spacing = (low + high) / 2
        chosen = _spread(surface, skin, spacing)
        if best is None or abs(len(chosen) - count) < abs(len(best) - count):
            best = chosen
        if abs(len(best) - count) <= max(2, count // 400):
            break
        low, high = (spacing, high) if len(chosen) > count else (low, spacing)
    return KernelChoice(best)


def cells(surface: Surface, kernels: np.ndarray) -> np.ndarray:
    """The kernel nearest to each vertex over the surface, [V]; for loose pieces (eyeballs) through the air."""
    nearest = surface.nearest(kernels)
    loose = np.flatnonzero(nearest < 0)
    if len(loose):
        nearest[loose] = nearest_points(surface.vertices[loose], surface.vertices[kernels])
    return nearest


def adjacency(surface: Surface, choice: KernelChoice, nearest: np.ndarray) -> np.ndarray:
    """Which kernels are neighbours, bool [K, K]: as the choice says, else those whose cells touch."""
    pairs = nearest[surface.edges] if choice.neighbours is None else choice.neighbours
    found = np.zeros((len(choice.vertices), len(choice.vertices)), bool)
    found[tuple(pairs.T)] = True
    found |= found.T
    np.fill_diagonal(found, False)
    return found


def mirrored(surface: Surface, kernels: np.ndarray) -> np.ndarray:
    """The kernel nearest to each kernel's mirror image, [K]: a permutation where the choice is symmetric."""
    points = surface.vertices[kernels]
    middle = (surface.vertices[:, 0].max() + surface.vertices[:, 0].min()) / 2
    found = nearest_points((points - [middle, 0, 0]) * [-1, 1, 1] + [middle, 0, 0], points)
    if surface.mirror is not None:
        place = np.full(len(surface.vertices) + 1, -1)
        place[kernels] = np.arange(len(kernels))
        own = place[surface.mirror[kernels]]
        found = np.where(own >= 0, own, found)
    return found


def _spread(surface: Surface, skin: np.ndarray, spacing: float) -> np.ndarray:
    vertices, mirror = surface.vertices, surface.mirror
    if mirror is None:
        everything = np.flatnonzero(skin)
        return np.array(_farthest(vertices, everything, spacing, [int(everything[vertices[everything, 1].argmax()])]))
    itself = skin & (mirror == np.arange(len(vertices)))
    line = []
    if itself.any():
        middle = np.flatnonzero(itself)
        line = _farthest(vertices, middle, spacing, [int(middle[vertices[middle, 1].argmax()])])
    # Half a spacing off the midline, so that mirror images do not crowd there.
    centre = (vertices[:, 0].max() + vertices[:, 0].min()) / 2
    half = np.flatnonzero(skin & (mirror >= 0) & ~itself & (vertices[:, 0] > centre + 0.45 * spacing))
    if not len(half):
        return np.array(line)
    start = line or [int(half[vertices[half, 1].argmax()])]
    left = _farthest(vertices, half, spacing, start)[len(line) :]
    return np.array(line + left + [int(mirror[vertex]) for vertex in left])


def _farthest(vertices: np.ndarray, candidates: np.ndarray, spacing: float, chosen: list[int]) -> list[int]:
    """``chosen`` and more candidates, the farthest first, until none is farther than ``spacing`` from all of them."""
    points = np.ascontiguousarray(vertices[candidates].T)
    squared = np.full(len(candidates), np.inf)

    def drop(vertex: int) -> None:
        x, y, z = points - vertices[vertex][:, None]
        np.minimum(squared, x * x + y * y + z * z, out=squared)

    for vertex in chosen:
        drop(vertex)
    chosen = list(chosen)
    while squared[best := int(squared.argmax())] > spacing**2:
        chosen.append(int(candidates[best]))
        drop(chosen[-1])
    return chosen


def _integers(path: Path, key: str, value: object, dimensions: int, below: int) -> np.ndarray:
    if not isinstance(value, np.ndarray) or not np.issubdtype(value.dtype, np.integer) or value.ndim != dimensions:
        raise AssetError(f"{path}: {key}: expected whole numbers in {dimensions} dimensions")
    if not value.size or value.min() < 0 or value.max() >= below:
        raise AssetError(f"{path}: {key}: must name 0 to {below - 1}")
    return value.astype(np.int64)
