"""Part labels drawn from the body, for data sets that know the body but not its parts."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from nbf_core.contracts import BodyModel
from nbf_core.types import BodyParams, Camera
from nbf_raster import rasterise


@torch.no_grad()
def render_parts(
    body: BodyModel, params: BodyParams, camera: Camera, size: tuple[int, int]
) -> Int[Tensor, "b h w"] | None:
    """The part (joint index) of the visible surface in each pixel of a map of ``size``, -1 off the body.

    ``camera`` belongs to the image, whatever its size. A triangle's pixel has the part of its nearest corner.
    What hides the body is not known here. None for a body without vertices.
    """
    vertices = body(params).vertices
    if vertices is None:
        return None
    camera = camera.resized(size)
    faces, parts = body.spec.faces.cpu().numpy(), body.spec.vertex_parts.cpu().numpy()
    labels = np.full((len(vertices), *size), -1)
    people = zip(vertices.double().cpu().numpy(), camera.focal.tolist(), camera.center.tolist(), strict=True)
    for label, (points, focal, center) in zip(labels, people, strict=True):
        seen = rasterise(points, faces, focal, center, size)
        on_body = seen.triangle >= 0
        corner = faces[seen.triangle[on_body], seen.barycentric[on_body].argmax(1)]
        label[on_body] = parts[corner]
    return torch.from_numpy(labels).to(vertices.device)
