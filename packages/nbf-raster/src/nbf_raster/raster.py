"""Triangles to pixels.

The camera is OpenCV's (x right, y down, z forward) and pixel centres lie at +0.5. All arithmetic is scalar
float64 without fused or reordered operations, so results do not depend on the machine.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit


class RasterResult(NamedTuple):
    """What each pixel [h, w] sees.

    ``triangle`` int32 is the index of the nearest face, -1 where there is none. ``barycentric`` [h, w, 3]
    float32 are the weights of its corners at the surface point (perspective-correct; zeros where none).
    ``depth`` float32 is z of that point in the vertices' unit, infinity where there is none.
    """

    triangle: np.ndarray
    barycentric: np.ndarray
    depth: np.ndarray


@njit(cache=True, nogil=True)
def _project(vertices, focal, center, near, screen):
    for i in range(len(vertices)):
        z = vertices[i, 2]
        if z > near:
            inverse = 1.0 / z
            screen[i, 0] = vertices[i, 0] * inverse * focal[0] + center[0]
            screen[i, 1] = vertices[i, 1] * inverse * focal[1] + center[1]
            screen[i, 2] = inverse
        else:
            screen[i, 2] = -1.0


@njit(cache=True, nogil=True)
def _fill(screen, faces, cull, triangle, nearest):
    """z-buffer over inverse depth; a pixel belongs to a face whose three edge functions agree in sign."""
    height, width = triangle.shape
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ia, ib, ic = screen[a, 2], screen[b, 2], screen[c, 2]
        if ia <= 0.0 or ib <= 0.0 or ic <= 0.0:
            continue
        ax, ay = screen[a, 0], screen[a, 1]
        bx, by = screen[b, 0], screen[b, 1]
        cx, cy = screen[c, 0], screen[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        # Counter-clockwise from outside is clockwise on a screen whose y points down: positive faces away.
        if area == 0.0 or (cull and area > 0.0):
            continue
        x0 = max(min(ax, bx, cx), 0.0)
        x1 = min(max(ax, bx, cx), float(width))
        y0 = max(min(ay, by, cy), 0.0)
        y1 = min(max(ay, by, cy), float(height))
        if x0 >= x1 or y0 >= y1:
            continue
        # First and last pixel whose centre can be inside.
        left, right = int(np.ceil(x0 - 0.5)), int(np.floor(x1 - 0.5))
        top, bottom = int(np.ceil(y0 - 0.5)), int(np.floor(y1 - 0.5))
        if left > right or top > bottom:
            continue
        scale = 1.0 / area
        for y in range(max(top, 0), min(bottom, height - 1) + 1):
            py = y + 0.5
            for x in range(max(left, 0), min(right, width - 1) + 1):
                px = x + 0.5
                wa = ((bx - px) * (cy - py) - (by - py) * (cx - px)) * scale
                wb = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) * scale
                wc = 1.0 - wa - wb
                if wa < 0.0 or wb < 0.0 or wc < 0.0:
                    continue
                inverse = wa * ia + wb * ib + wc * ic
                if inverse > nearest[y, x]:
                    nearest[y, x] = inverse
                    triangle[y, x] = f


@njit(cache=True, nogil=True)
def _barycentric(screen, faces, triangle, nearest, weights, depth):
    height, width = triangle.shape
    for y in range(height):
        for x in range(width):
            f = triangle[y, x]
            if f < 0:
                depth[y, x] = np.inf
                continue
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            px, py = x + 0.5, y + 0.5
            ax, ay = screen[a, 0], screen[a, 1]
            bx, by = screen[b, 0], screen[b, 1]
            cx, cy = screen[c, 0], screen[c, 1]
            scale = 1.0 / ((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))
            wa = ((bx - px) * (cy - py) - (by - py) * (cx - px)) * scale
            wb = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) * scale
            z = 1.0 / nearest[y, x]
            weights[y, x, 0] = wa * screen[a, 2] * z
            weights[y, x, 1] = wb * screen[b, 2] * z
            weights[y, x, 2] = (1.0 - wa - wb) * screen[c, 2] * z
            depth[y, x] = z


def rasterise(
    vertices: np.ndarray,
    faces: np.ndarray,
    focal,
    center,
    size: tuple[int, int],
    near: float = 0.05,
    cull: bool = False,
) -> RasterResult:
    """See a mesh through a pinhole camera.

    ``vertices`` [V, 3] are in camera coordinates, ``faces`` [F, 3] index them, ``focal`` and ``center`` are
    (x, y) in pixels, ``size`` is (height, width). A face with a corner nearer than ``near`` is left out.
    ``cull`` leaves out faces seen from behind (front: counter-clockwise seen from outside).
    Where two faces are equally near the first wins. Raises ValueError for wrong shapes or indices.
    """
    vertices = np.ascontiguousarray(vertices, dtype=np.float64)
    faces = np.ascontiguousarray(faces, dtype=np.int32)
    if vertices.ndim != 2 or vertices.shape[1] != 3:
        raise ValueError(f"vertices: expected shape [V, 3], got {vertices.shape}")
    if faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(f"faces: expected shape [F, 3], got {faces.shape}")
    if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
        raise ValueError(f"faces: an index is outside 0 to {len(vertices) - 1}")
    height, width = size
    screen = np.empty_like(vertices)
    triangle = np.full((height, width), -1, np.int32)
    nearest = np.zeros((height, width))
    weights = np.zeros((height, width, 3), np.float32)
    depth = np.empty((height, width), np.float32)
    pair = (np.asarray(focal, np.float64).reshape(2), np.asarray(center, np.float64).reshape(2))
    _project(vertices, pair[0], pair[1], near, screen)
    _fill(screen, faces, cull, triangle, nearest)
    _barycentric(screen, faces, triangle, nearest, weights, depth)
    return RasterResult(triangle, weights, depth)


def interpolate(result: RasterResult, faces: np.ndarray, attributes: np.ndarray) -> np.ndarray:
    """Vertex attributes [V, d] at the visible surface points, [h, w, d] float32; zeros where none is."""
    corners = faces[np.maximum(result.triangle, 0)]  # [h, w, 3]
    values = np.asarray(attributes, np.float32)[corners]  # [h, w, 3, d]
    return (values * result.barycentric[..., None]).sum(2)
