"""Between a crop's weak-perspective camera and a body in front of a pinhole camera."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from nbf_core.types.camera import Camera


def central_ray_rotation(camera: Camera) -> Float[Tensor, "*b 3 3"]:
    """The smallest rotation that takes the optical axis to the ray through the middle of the image.

    A crop away from the optical axis shows a body as if the camera had been turned towards it. What a network
    says about the crop is relative to that ray.
    """
    middle = camera.focal.new_tensor([camera.size[1] / 2, camera.size[0] / 2])
    xy = (middle - camera.center) / camera.focal
    ray = torch.cat([xy, torch.ones_like(xy[..., :1])], dim=-1)
    ray = ray / ray.norm(dim=-1, keepdim=True)
    x, y, z = ray.unbind(-1)
    # Rodrigues' formula for the rotation from (0, 0, 1) to the ray, with cosine z: no division by zero for z > -1.
    k = 1 / (1 + z)
    rows = [1 - k * x * x, -k * x * y, x, -k * x * y, 1 - k * y * y, y, -x, -y, z]
    return torch.stack(rows, dim=-1).reshape(*ray.shape[:-1], 3, 3)


def weak_to_translation(weak: Float[Tensor, "*b 3"], camera: Camera) -> Float[Tensor, "*b 3"]:
    """Weak-perspective ``(s, tx, ty)`` of a square crop to a translation in metres.

    With ``u`` in [-1, 1] over the crop, ``u = s (x + tx)``; so the depth along the central ray is
    ``2 f / (side s)`` (PARE), and the shift is taken in the plane facing that ray.
    """
    scale, shift = weak[..., :1], weak[..., 1:]
    depth = 2 * camera.focal[..., :1] / (camera.size[1] * scale.clamp_min(1e-3))
    local = torch.cat([shift, depth], dim=-1)
    return (central_ray_rotation(camera) @ local[..., None])[..., 0]


def translation_to_weak(translation: Float[Tensor, "*b 3"], camera: Camera) -> Float[Tensor, "*b 3"]:
    """The inverse of :func:`weak_to_translation`."""
    local = (central_ray_rotation(camera).mT @ translation[..., None])[..., 0]
    scale = 2 * camera.focal[..., :1] / (camera.size[1] * local[..., 2:])
    return torch.cat([scale, local[..., :2]], dim=-1)
