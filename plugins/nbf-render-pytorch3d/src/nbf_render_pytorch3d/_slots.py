"""From weighted faces to fragments: their corners as kernels, nearest first, each once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, pad

from nbf_core.types import Camera, Fragments, Kernels
from nbf_render_pytorch3d._blend import Blend
from nbf_render_pytorch3d._raster import Hits


@dataclass(frozen=True)
class Slots:
    """Fragments, and how much of each of their pixels the kernels listed cover, ``[n]``."""

    fragments: Fragments
    cover: Tensor

    def silhouette(self) -> Tensor:
        """``[b, h, w]``."""
        return self._spread(self.cover)

    def mix(self, attributes: Tensor) -> Tensor:
        """``sum_m w_m A[k_m]`` in every pixel, ``[b, h, w, c]``, of attributes ``[b, k, c]`` or ``[k, c]``."""
        index, weight = self.fragments.kernel.clamp_min(0), self.fragments.weight
        if attributes.dim() == 3:
            index = index + (self.fragments.person * attributes.shape[1])[:, None]
            attributes = attributes.flatten(0, 1)
        if not index.numel():  # an embedding bag refuses nothing at all
            return self._spread(attributes.sum() * weight.sum() * attributes.new_zeros(0, attributes.shape[1]))
        return self._spread(embedding_bag(index, attributes, per_sample_weights=weight.contiguous(), mode="sum"))

    def _spread(self, values: Tensor) -> Tensor:
        """Values ``[n, ...]`` of the listed pixels as maps, zero elsewhere."""
        batch, height, width = self.fragments.grid
        flat = values.new_zeros(batch * height * width, *values.shape[1:])
        return flat.index_copy(0, self.fragments.pixel, values).view(batch, height, width, *values.shape[1:])


def list_corners(hits: Hits, share: Tensor, mixed: Blend, kernels: Kernels, camera: Camera, limit: int | None) -> Slots:
    """List at most ``limit`` corners a pixel; ``share`` ``[n, s, 3]`` are the faces' barycentric coordinates."""
    corner = hits.corner.flatten(1)
    weight = (mixed.weight[..., None] * share).flatten(1)
    weight = torch.where(hits.there.repeat_interleave(3, 1), weight, 0.0)
    first = torch.ones_like(corner, dtype=torch.bool)
    if hits.corner.shape[1] > 1:
        corner, weight, first = _merge(corner, weight)
    listed = first & (weight > 0)
    depth = torch.where(listed, _along_ray(hits, corner, kernels, camera), torch.inf)
    depth, order = depth.sort(dim=1, stable=True)
    listed = listed.gather(1, order)
    corner = torch.where(listed, corner.gather(1, order), -1)
    weight = torch.where(listed, weight.gather(1, order), 0.0)
    width = int(listed.sum(1).amax()) if len(listed) else 1
    width = width if limit is None else min(width, limit)
    cut = weight[:, width:].sum(1)
    fragments = Fragments(
        pixel=hits.pixel,
        kernel=corner[:, :width],
        weight=weight[:, :width],
        depth=depth[:, :width],
        truncated=listed[:, width:].sum(1) + mixed.more,
        lost=cut.detach() + mixed.lost,
        grid=hits.grid,
    )
    return Slots(fragments, (mixed.cover - cut).clamp(0.0, 1.0))


def _merge(corner: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Corners ``[n, m]`` sorted, each one's weights added up where it is ``first`` named; the rest is to be skipped."""
    corner, order = corner.sort(dim=1, stable=True)
    weight = weight.gather(1, order)
    # Sums over runs of equals, doubling the span: unlike scatter_add, the same to the last bit on a GPU too.
    span = 1
    while span < corner.shape[1]:
        same = corner[:, span:] == corner[:, :-span]
        weight = weight + pad(torch.where(same, weight[:, span:], 0.0), (0, span))
        span *= 2
    first = pad(corner[:, 1:] != corner[:, :-1], (1, 0), value=True)
    return corner, weight, first


def _along_ray(hits: Hits, corner: Tensor, kernels: Kernels, camera: Camera) -> Tensor:
    """How far along each pixel's ray its corners ``[n, m]`` lie, metres."""
    person = hits.person
    slope = (hits.center.to(kernels.means.dtype) - camera.center.detach()[person]) / camera.focal.detach()[person]
    ray = torch.cat([slope, torch.ones_like(slope[:, :1])], -1)
    ray = ray / ray.norm(dim=-1, keepdim=True)
    points = kernels.means.detach()[person[:, None], corner]
    return (points @ ray[..., None]).squeeze(-1)
