"""Light for overlays: vertex normals and Lambert's law."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _accumulate(vertices, faces, normals):
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux, uy, uz = (
            vertices[b, 0] - vertices[a, 0],
            vertices[b, 1] - vertices[a, 1],
            vertices[b, 2] - vertices[a, 2],
        )
        vx, vy, vz = (
            vertices[c, 0] - vertices[a, 0],
            vertices[c, 1] - vertices[a, 1],
            vertices[c, 2] - vertices[a, 2],
        )
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for i in (a, b, c):
            normals[i, 0] += nx
            normals[i, 1] += ny
            normals[i, 2] += nz
    for i in range(len(normals)):
        length = np.sqrt(normals[i, 0] ** 2 + normals[i, 1] ** 2 + normals[i, 2] ** 2)
        if length > 0.0:
            normals[i, 0] /= length
            normals[i, 1] /= length
            normals[i, 2] /= length


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals [V, 3] float64, the area-weighted mean of the faces around each vertex.

    They point to the side from which faces [F, 3] run counter-clockwise; zero at a vertex without faces.
    """
    normals = np.zeros((len(vertices), 3))
    _accumulate(np.ascontiguousarray(vertices, np.float64), np.ascontiguousarray(faces, np.int32), normals)
    return normals


def lambert(
    normals: np.ndarray, toward_light=(0.3, -0.5, -0.8), ambient: float = 0.35, two_sided: bool = False
) -> np.ndarray:
    """Brightness [...] in [0, 1] of surfaces with unit normals [..., 3].

    ``toward_light`` points from the surface to a distant light, in the normals' coordinates; the default
    comes from above the camera's right shoulder. ``two_sided`` lights the backs of faces too.
    """
    light = np.asarray(toward_light, np.float64)
    cosine = np.asarray(normals) @ (light / np.linalg.norm(light))
    cosine = np.abs(cosine) if two_sided else np.maximum(cosine, 0.0)
    return ambient + (1.0 - ambient) * cosine
