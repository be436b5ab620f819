"""The Gaussian volume renderer: sparse over pixels and kernels, differentiable, any device."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.errors import ShapeError
from nbf_core.types import Camera, Fragments, Kernels, RenderOutput
from nbf_renderers._candidates import (
    Slots,
    assign_slots,
    camera_pairs,
    component_first,
    pixel_directions,
    ray_pairs,
)
from nbf_renderers._checks import check_attributes, check_camera, check_kernels
from nbf_renderers._mix import gather_mean, mix
from nbf_renderers._volume import peak, weigh
from nbf_renderers.config import GaussianConfig, cutoff_of


class GaussianRenderer:
    """Volume rendering of Gaussian kernels (VoGE, Wang et al., ICLR 2023).

    A kernel counts in a pixel where its activation ``a`` is below ``config.cutoff`` and its depth ``l`` is
    positive; of those the ``max_kernels`` nearest are kept. Work and memory follow the number of such pairs,
    not pixels times kernels. Gradients are exact to first order; results are in the dtype of the means.
    """

    def __init__(self, config: GaussianConfig | None = None) -> None:
        self.config = config or GaussianConfig()

    def render(
        self,
        kernels: Kernels,
        camera: Camera,
        attributes: Float[Tensor, "b k c"] | Float[Tensor, "k c"],
        max_kernels: int | None = None,
    ) -> RenderOutput:
        """Attribute map ``sum_m w_m A[k_m]``, silhouette ``min(1, sum_m w_m)`` and fragments.

        ``kernels`` are in camera coordinates (metres, OpenCV axes), ``camera`` has their batch and the size
        of the output. Differentiable in means, precision, focal length, principal point and attributes.
        Raises ShapeError where a shape does not fit.
        """
        check_kernels(kernels)
        check_camera(kernels, camera)
        check_attributes(kernels, attributes)
        camera = camera.to(kernels.means.dtype)
        slots = assign_slots(camera_pairs(kernels, camera, self.config.cutoff), _slot_limit(max_kernels, self.config))
        means, precision = _gather(kernels, slots)
        # Directions of z = 1 leave offsets of the size of the kernel; lengths are put right afterwards.
        direction = pixel_directions(camera, slots.pixel)[:, None]
        depth, activation, q = peak(means, precision, direction, means[2])
        length2 = (direction * direction).sum(0)
        depth, q = depth * length2.sqrt(), q / length2
        weight = weigh(activation, depth, q, slots.valid, self.config.absorptivity)
        return _compose(slots, weight, depth, attributes, (len(kernels.means), *camera.size))

    def sample(
        self, fragments: Fragments, features: Float[Tensor, "b h w c"], kernels: int
    ) -> tuple[Float[Tensor, "b k c"], Bool[Tensor, "b k"]]:
        """See :func:`sample_pixels`."""
        return sample_pixels(fragments, features, kernels)


def render_rays(
    kernels: Kernels,
    rays: Float[Tensor, "b h w 3"],
    attributes: Float[Tensor, "b k c"] | Float[Tensor, "k c"],
    config: GaussianConfig | None = None,
    keep_behind: bool = False,
) -> RenderOutput:
    """Render along any unit ``rays`` from the origin, differentiable in them too.

    For other cameras than a pinhole and for comparisons; it tests every kernel in every ray, so it is slow.
    ``keep_behind`` lets kernels behind the origin count, nearest first and so before all others, as the
    published renderer does. Raises ShapeError where a shape does not fit.
    """
    config = config or GaussianConfig()
    check_kernels(kernels)
    check_attributes(kernels, attributes)
    if rays.dim() != 4 or rays.shape[0] != len(kernels.means) or rays.shape[3] != 3:
        raise ShapeError(f"rays: expected shape [{len(kernels.means)}, h, w, 3], got {list(rays.shape)}")
    slots = assign_slots(
        ray_pairs(kernels, rays.detach(), cutoff_of(config.threshold), keep_behind), config.max_kernels
    )
    means, precision = _gather(kernels, slots)
    direction = rays.reshape(-1, 3).index_select(0, slots.pixel).T[:, None]
    guess = (means * direction).sum(0) / (direction * direction).sum(0)
    depth, activation, q = peak(means, precision, direction, guess)
    weight = weigh(activation, depth, q, slots.valid, config.absorptivity)
    return _compose(slots, weight, depth, attributes, tuple(rays.shape[:3]))


def sample_pixels(
    fragments: Fragments, features: Float[Tensor, "b h w c"], kernels: int
) -> tuple[Float[Tensor, "b k c"], Bool[Tensor, "b k"]]:
    """Features per kernel and visibility: ``sum w f / (sum w + 1e-8)`` over the pixels a kernel is seen in.

    A kernel is visible where it is the first of some pixel's list; one that is never hit gets zeros.
    Differentiable in ``features`` and in the fragments' weights. Raises ShapeError where ``features`` is not
    of the fragments' grid.
    """
    batch, height, width = fragments.grid
    if features.dim() != 4 or tuple(features.shape[:3]) != fragments.grid:
        raise ShapeError(f"features: expected shape [{batch}, {height}, {width}, c], got {list(features.shape)}")
    person = fragments.person
    total = batch * kernels
    seen = fragments.kernel >= 0
    flat = torch.where(seen, fragments.kernel + (person * kernels)[:, None], total)
    mean = gather_mean(features.flatten(0, 2), fragments.pixel, flat, fragments.weight, total)
    visible = torch.zeros(total + 1, dtype=torch.bool, device=flat.device)
    if flat.shape[1]:
        visible[flat[:, 0]] = True
    return mean.unflatten(0, (batch, kernels)), visible[:-1].unflatten(0, (batch, kernels))


def _slot_limit(max_kernels: int | None, config: GaussianConfig) -> int:
    limit = config.max_kernels if max_kernels is None else max_kernels
    if limit < 1:
        raise ShapeError(f"max_kernels: expected at least 1, got {limit}")
    return limit


def _gather(kernels: Kernels, slots: Slots) -> tuple[Tensor, Tensor]:
    """Means ``[3, m, n]`` and precision ``[m, n]`` or ``[3, 3, m, n]`` of the kernels in the slots."""
    index = slots.kernel.reshape(-1)
    return tuple(  # type: ignore[return-value]
        value.index_select(-1, index).unflatten(-1, slots.kernel.shape) for value in component_first(kernels)
    )


def _compose(
    slots: Slots, weight: Tensor, depth: Tensor, attributes: Tensor, grid: tuple[int, int, int]
) -> RenderOutput:
    batch, height, width = grid
    person = torch.div(slots.pixel, height * width, rounding_mode="floor")
    count = attributes.shape[-2]
    local = slots.kernel - person * count
    table = attributes.to(weight.dtype)
    if attributes.dim() == 3:
        values = mix(table.flatten(0, 1), slots.kernel, weight)
    else:
        values = mix(table, local, weight)
    image = values.new_zeros(batch * height * width, values.shape[1]).index_copy_(0, slots.pixel, values)
    cover = weight.sum(0).clamp(max=1.0)
    silhouette = cover.new_zeros(batch * height * width).index_copy_(0, slots.pixel, cover)
    fragments = Fragments(
        pixel=slots.pixel,
        kernel=torch.where(slots.valid, local, -1).T.contiguous(),
        weight=weight.T.contiguous(),
        depth=torch.where(slots.valid, depth, torch.inf).T.contiguous(),
        truncated=slots.truncated,
        grid=grid,
    )
    return RenderOutput(
        attributes=image.view(batch, height, width, -1),
        silhouette=silhouette.view(batch, height, width),
        fragments=fragments,
    )
