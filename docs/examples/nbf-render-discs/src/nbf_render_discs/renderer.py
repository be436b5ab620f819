"""Kernels drawn as soft discs that face the camera; the nearest disc of a pixel hides the others."""

from __future__ import annotations

import torch
from torch import Tensor

from nbf_core.errors import ShapeError
from nbf_core.types import Camera, Fragments, Kernels, RenderOutput
from nbf_render_discs.config import DiscsRendererConfig
from nbf_renderers import check_attributes, check_camera, check_kernels, sample_pixels


class DiscsRenderer:
    """A disc lies in its kernel's depth plane. In its middle it weighs 1, at its rim 0, smoothly."""

    def __init__(self, config: DiscsRendererConfig | None = None) -> None:
        self.config = config or DiscsRendererConfig()

    def render(
        self, kernels: Kernels, camera: Camera, attributes: Tensor, max_kernels: int | None = None
    ) -> RenderOutput:
        """See :class:`nbf_core.contracts.Renderer`; a pixel keeps one kernel whatever ``max_kernels`` is."""
        check_kernels(kernels)
        check_camera(kernels, camera)
        check_attributes(kernels, attributes)
        if max_kernels is not None and max_kernels < 1:
            raise ShapeError(f"max_kernels: expected at least 1, got {max_kernels}")
        batch, (height, width) = len(kernels.means), camera.size
        rays = camera.rays().flatten(0, 2)
        slopes = rays[:, :2] / rays[:, 2:]
        with torch.no_grad():
            pixel, kernel, seen = self._nearest(kernels, slopes.view(batch, -1, 2))
        person = pixel // (height * width)
        mean, planar = kernels.means[person, kernel], _planar(kernels.precision)[person, kernel]
        weight = self._weight(mean, planar, slopes[pixel])
        rows = attributes[kernel] if attributes.dim() == 2 else attributes[person, kernel]
        picture = rows.new_zeros(len(rays), rows.shape[-1]).index_copy(0, pixel, weight[:, None] * rows)
        silhouette = weight.new_zeros(len(rays)).index_copy(0, pixel, weight)
        fragments = Fragments(
            pixel=pixel,
            kernel=kernel[:, None],
            weight=weight[:, None],
            depth=(mean[:, 2] / rays[pixel, 2])[:, None],
            truncated=seen - 1,
            lost=(seen - 1).to(weight),  # no disc weighs more than 1
            grid=(batch, height, width),
        )
        return RenderOutput(
            attributes=picture.view(batch, height, width, rows.shape[-1]),
            silhouette=silhouette.view(batch, height, width),
            fragments=fragments,
        )

    def sample(self, fragments: Fragments, features: Tensor, kernels: int) -> tuple[Tensor, Tensor]:
        """See :class:`nbf_core.contracts.Renderer`."""
        return sample_pixels(fragments, features, kernels)

    def _nearest(self, kernels: Kernels, slopes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The pixels that see a disc, the nearest one of each, and how many each sees."""
        found = []
        for mean, planar, slope in zip(kernels.means, _planar(kernels.precision), slopes, strict=True):
            seen = (self._weight(mean, planar, slope[:, None]) > 0) & (mean[:, 2] > 0)
            depth, kernel = torch.where(seen, mean[:, 2], torch.inf).min(-1)
            found.append((depth < torch.inf, kernel, seen.sum(-1)))
        drawn, kernel, seen = (torch.cat(parts) for parts in zip(*found, strict=True))
        return drawn.nonzero()[:, 0], kernel[drawn], seen[drawn]

    def _weight(self, mean: Tensor, planar: Tensor, slope: Tensor) -> Tensor:
        """What discs weigh where rays of these slopes (x / z, y / z) meet their planes."""
        x, y = (mean[..., :2] - mean[..., 2:] * slope).unbind(-1)
        a, b, c = planar.unbind(-1)
        distance = (a * x * x + 2 * b * x * y + c * y * y) / self.config.reach**2
        return (1 - distance).clamp_min(0).square()


def _planar(precision: Tensor) -> Tensor:
    """The entries xx, xy and yy of the precision, [b, k, 3]."""
    if precision.dim() == 2:
        return torch.stack([precision, torch.zeros_like(precision), precision], -1)
    return torch.stack([precision[..., 0, 0], precision[..., 0, 1], precision[..., 1, 1]], -1)
