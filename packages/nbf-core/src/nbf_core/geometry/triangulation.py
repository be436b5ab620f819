"""Points in the world from their pictures in several calibrated cameras."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from nbf_core.types.camera import Camera
from nbf_core.types.view import View


def triangulate(
    points: Float[Tensor, "v *b 2"], weights: Float[Tensor, "v *b"], camera: Camera, view: View
) -> Float[Tensor, "*b 3"]:
    """World points (metres) from their pixels in ``v`` cameras; ``camera`` and ``view`` have the batch ``v``.

    The direct linear transform (Hartley and Sturm, 1997): each view says that the point lies in two planes through
    its camera, weighted by ``weights`` (0: not seen there). The planes are weighted again by the depth that a first
    solution gives, so that what is minimised is a distance on the normalised image. NaN where fewer than two views
    see a point.
    """
    normal = _planes(points, camera)
    rotation, translation = (_spread(value, points.ndim - 2) for value in (view.rotation, view.translation))
    rows = normal @ rotation  # [v *b 2 3]
    right = -(normal @ translation[..., None])[..., 0]
    depth = torch.ones_like(weights)
    for _ in range(3):
        scale = (weights / depth)[..., None]
        a = (scale[..., None] * rows).movedim(0, -3).flatten(-3, -2)
        b = (scale * right).movedim(0, -2).flatten(-2)
        solved = _least_squares(a, b)
        depth = (rotation[..., 2, :] * solved).sum(-1) + translation[..., 2]
        depth = torch.where(depth > 0.05, depth, 0.05).nan_to_num(1.0)
    return torch.where(((weights > 0).sum(0) >= 2)[..., None], solved, torch.nan)


def _planes(points: Tensor, camera: Camera) -> Float[Tensor, "v *b 2 3"]:
    """Normals of the two planes through the camera's centre and each pixel, in camera coordinates."""
    focal, centre = (_spread(value, points.ndim - 2) for value in (camera.focal, camera.center))
    x, y = ((points - centre) / focal).unbind(-1)
    one, none = torch.ones_like(x), torch.zeros_like(x)
    return torch.stack([torch.stack([one, none, -x], -1), torch.stack([none, one, -y], -1)], -2)


def _spread(value: Tensor, batch: int) -> Tensor:
    """``value`` [v, ...] as [v, 1, ..., 1, ...] with ``batch`` dimensions of length 1 after the first."""
    return value.reshape(len(value), *[1] * batch, *value.shape[1:])


def _least_squares(a: Float[Tensor, "*b r 3"], b: Float[Tensor, "*b r"]) -> Float[Tensor, "*b 3"]:
    """The normal equations, held up by a trace of a unit matrix where nothing is seen."""
    square = a.mT @ a + 1e-9 * torch.eye(3, dtype=a.dtype, device=a.device)
    return torch.linalg.solve(square, (a.mT @ b[..., None])[..., 0])
