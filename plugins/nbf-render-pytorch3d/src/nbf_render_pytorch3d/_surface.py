"""Where in its faces a pixel lies: differentiable in the mesh and the camera, in their dtype.

PyTorch3D has gradients of its own for this. They are float32, on a CPU take tens of times longer than what is here,
and for a pixel beside a face they grow with the inverse of the face's area, which for one seen edge-on is anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nbf_core.types import Camera, Kernels
from nbf_render_pytorch3d._raster import Hits


@dataclass(frozen=True)
class Surface:
    """The point of each face ``[n, s]`` that a pixel sees, or, for a pixel beside the face, the nearest on its rim.

    ``share`` ``[n, s, 3]`` are its perspective-correct barycentric coordinates, ``depth`` ``[n, s]`` its z (metres),
    ``outside`` ``[n, s]`` the pixel's squared distance in pixels from the rim, negative inside.
    """

    share: Tensor
    depth: Tensor
    outside: Tensor


def locate(hits: Hits, kernels: Kernels, camera: Camera, beside: bool) -> Surface:
    """The points of ``hits``; ``beside`` says that pixels beside a face may be among them."""
    count = kernels.means.shape[1]
    rows = (hits.corner + (hits.person * count)[:, None, None]).flatten()
    screen = camera.project(kernels.means).flatten(0, 1).index_select(0, rows).view(*hits.corner.shape, 2)
    z = kernels.means[..., 2].flatten().index_select(0, rows).view_as(hits.corner)
    start = screen - hits.center.to(screen.dtype)[:, None, None]
    end = start.roll(-1, 2)
    # Twice the signed areas between the pixel and each side; that of the opposite side is a corner's coordinate.
    doubled = (start[..., 0] * end[..., 1] - start[..., 1] * end[..., 0]).roll(-1, 2)
    if beside:
        flat, outside = _with_rim(start, end, doubled)
    else:
        # What float32 called inside may be outside by a rounding.
        flat = (doubled / doubled.sum(-1, keepdim=True)).clamp_min(0.0)
        outside = torch.zeros_like(z[..., 0])
    over_z = flat / z
    inverse = over_z.sum(-1)
    return Surface(over_z / inverse[..., None], flat.sum(-1) / inverse, outside)


def _with_rim(start: Tensor, end: Tensor, doubled: Tensor) -> tuple[Tensor, Tensor]:
    """Barycentric coordinates on the screen and signed squared distance, from corners relative to the pixel."""
    side = end - start
    tiny = torch.finfo(start.dtype).tiny
    along = (-(start * side).sum(-1) / (side * side).sum(-1).clamp_min(tiny)).clamp(0.0, 1.0)
    distance = (start + along[..., None] * side).square().sum(-1)
    nearest = distance.argmin(-1, keepdim=True)
    distance = distance.gather(-1, nearest).squeeze(-1)
    along = along.gather(-1, nearest)
    first = torch.zeros_like(doubled).scatter(-1, nearest, 1.0)
    rim = first * (1.0 - along) + first.roll(1, -1) * along
    inside = (doubled > 0).all(-1) | (doubled < 0).all(-1)
    area = torch.where(inside, doubled.sum(-1), 1.0)  # never a division by zero, not even in a branch not taken
    flat = torch.where(inside[..., None], doubled / area[..., None], rim)
    return flat, torch.where(inside, -distance, distance)
