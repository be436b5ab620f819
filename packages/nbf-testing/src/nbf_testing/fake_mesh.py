"""A mesh renderer in the plainest way: every pixel's ray against every triangle. For small pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from nbf_core.errors import ShapeError
from nbf_core.types import Camera, Fragments, Kernels, RenderOutput
from nbf_testing.config import FakeRendererConfig
from nbf_testing.fakes import check_inputs, sample_slots


class FakeMeshRenderer:
    """Draws the nearest triangle that a pixel's ray meets; a pixel sees its corners, by barycentric weight.

    Outlines are hard, so the silhouette has no gradient; nor has the precision, which is not looked at.
    Triangles with a corner behind the camera are not drawn.
    """

    def __init__(self, config: FakeRendererConfig | None = None) -> None:
        self.config = config or FakeRendererConfig()

    def render(
        self, kernels: Kernels, camera: Camera, attributes: Tensor, max_kernels: int | None = None
    ) -> RenderOutput:
        """See :class:`nbf_core.contracts.Renderer`; of the three corners the ``max_kernels`` nearest are kept."""
        check_inputs(kernels, camera, attributes, max_kernels)
        if kernels.faces is None:
            raise ShapeError("kernels.faces: a mesh renderer needs triangles over the kernels")
        grid = (len(kernels.means), *camera.size)
        rays = camera.rays().flatten(1, 2)
        with torch.no_grad():
            pixel, corner = _nearest(kernels, rays)
        person = pixel // (camera.size[0] * camera.size[1])
        ray = rays.flatten(0, 1)[pixel]
        points = kernels.means[person[:, None], corner]  # [n, 3 corners, 3]
        weight = _cramer(points, ray)
        weight = weight / weight.sum(-1, keepdim=True)
        depth, order = (points.detach() @ ray.detach()[..., None]).squeeze(-1).sort(dim=1, stable=True)
        corner, weight = corner.gather(1, order), weight.gather(1, order)
        kept = min(3, max_kernels or 3)
        lost = weight[:, kept:].detach().sum(1)
        fragments = Fragments(
            pixel=pixel,
            kernel=corner[:, :kept],
            weight=weight[:, :kept],
            depth=depth[:, :kept],
            truncated=torch.full_like(pixel, 3 - kept),
            lost=lost,
            grid=grid,
        )
        rows = attributes[fragments.kernel] if attributes.dim() == 2 else attributes[person[:, None], fragments.kernel]
        values = (fragments.weight[..., None] * rows).sum(1)
        return RenderOutput(_spread(values, fragments), _spread((1 - lost).clamp(0, 1), fragments), fragments)

    def sample(self, fragments: Fragments, features: Tensor, kernels: int) -> tuple[Tensor, Tensor]:
        """See :func:`nbf_testing.fakes.sample_slots`."""
        return sample_slots(fragments, features, kernels)


def _cramer(points: Tensor, ray: Tensor) -> Tensor:
    """``x`` with ``sum_i x_i points_i = ray``: barycentric coordinates where the ray meets the plane, over the depth.

    ``points`` ``[..., 3 corners, 3]`` and ``ray`` ``[..., 3]``.
    """
    a, b, c = points.unbind(-2)
    volume = (a * torch.linalg.cross(b, c)).sum(-1)
    pairs = [torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)]
    return torch.stack([(ray * pair).sum(-1) for pair in pairs], -1) / volume[..., None]


def _nearest(kernels: Kernels, rays: Tensor) -> tuple[Tensor, Tensor]:
    """Flat pixels ``[n]`` that see a triangle, ascending, and the corners ``[n, 3]`` of the nearest."""
    faces = kernels.faces
    batch = torch.arange(len(rays), device=rays.device)
    points = kernels.means[batch[:, None, None], faces]  # [b, f, 3, 3]
    drawn = (points[..., 2] > 0).all(-1)
    share = _cramer(points[:, None], rays[:, :, None])  # [b, pixels, f, 3]
    hit = (share >= 0).all(-1) & drawn[:, None]
    depth, face = torch.where(hit, 1 / share.sum(-1), torch.inf).min(-1)
    person, inside = torch.isfinite(depth).nonzero(as_tuple=True)
    return person * rays.shape[1] + inside, faces[person, face[person, inside]]


def _spread(values: Tensor, fragments: Fragments) -> Tensor:
    """Values of the listed pixels as maps, zero elsewhere."""
    flat = values.new_zeros(torch.Size(fragments.grid).numel(), *values.shape[1:])
    return flat.index_copy(0, fragments.pixel, values).view(*fragments.grid, *values.shape[1:])
