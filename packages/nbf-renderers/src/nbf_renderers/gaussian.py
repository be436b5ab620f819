"""The Gaussian volume renderer: sparse over pixels and kernels, differentiable, any device."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.errors import ShapeError
from nbf_core.types import Camera, Fragments, Kernels, RenderOutput, ScoreOutput, Similarities
from nbf_renderers._candidates import (
    Slots,
    assign_slots,
    camera_pairs,
    component_first,
    pixel_directions,
    ray_pairs,
)
from nbf_renderers._checks import (
    check_attributes,
    check_camera,
    check_features,
    check_kernels,
    check_similarities,
    slot_limit,
)
from nbf_renderers._compose import Drawn, compare, compose
from nbf_renderers._mix import gather_mean
from nbf_renderers._volume import lost_weight, peak, weigh
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
        return compose(self._draw(kernels, camera, max_kernels), attributes)

    def score(
        self,
        kernels: Kernels,
        camera: Camera,
        orientation: Float[Tensor, "b k o"],
        similarities: Similarities,
        max_kernels: int | None = None,
    ) -> ScoreOutput:
        """See :class:`nbf_core.contracts.ScoringRenderer`; 3DNBF (ICCV 2023), section 3.4, without its features."""
        check_kernels(kernels)
        check_camera(kernels, camera)
        check_similarities(kernels, camera, orientation, similarities)
        return compare(self._draw(kernels, camera, max_kernels), orientation, similarities)

    def sample(
        self, fragments: Fragments, features: Float[Tensor, "b h w c"], kernels: int
    ) -> tuple[Float[Tensor, "b k c"], Bool[Tensor, "b k"]]:
        """See :func:`sample_pixels`."""
        return sample_pixels(fragments, features, kernels)

    def _draw(self, kernels: Kernels, camera: Camera, max_kernels: int | None) -> Drawn:
        kernels, camera = _in_one_dtype(kernels), camera.to(kernels.means.dtype)
        config = self.config
        limit = slot_limit(max_kernels, config)
        slots = assign_slots(camera_pairs(kernels, camera, config.cutoff), limit, config.absorptivity)
        means, precision = _gather(kernels, slots)
        # Directions of z = 1 leave offsets of the size of the kernel; lengths are put right afterwards.
        direction = pixel_directions(camera, slots.pixel)[:, None]
        depth, activation, q = peak(means, precision, direction, means[2])
        length2 = (direction * direction).sum(0)
        depth, q = depth * length2.sqrt(), q / length2
        weight, light = weigh(activation, depth, q, slots.valid, config.absorptivity)
        return Drawn(slots, weight, depth, lost_weight(light, slots.cut), (len(kernels.means), *camera.size))


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
    kernels, rays = _in_one_dtype(kernels), rays.to(kernels.means.dtype)
    pairs = ray_pairs(kernels, rays.detach(), cutoff_of(config.threshold), keep_behind)
    slots = assign_slots(pairs, config.max_kernels, config.absorptivity)
    means, precision = _gather(kernels, slots)
    direction = rays.reshape(-1, 3).index_select(0, slots.pixel).T[:, None]
    guess = (means * direction).sum(0) / (direction * direction).sum(0)
    depth, activation, q = peak(means, precision, direction, guess)
    weight, light = weigh(activation, depth, q, slots.valid, config.absorptivity)
    return compose(Drawn(slots, weight, depth, lost_weight(light, slots.cut), tuple(rays.shape[:3])), attributes)


def sample_pixels(
    fragments: Fragments, features: Float[Tensor, "b h w c"], kernels: int
) -> tuple[Float[Tensor, "b k c"], Bool[Tensor, "b k"]]:
    """Features per kernel and visibility: ``sum w f / (sum w + 1e-8)`` over the pixels a kernel is seen in.

    A kernel is visible where it is the first of some pixel's list; one that is never hit gets zeros.
    Differentiable in ``features`` and in the fragments' weights. Raises ShapeError where ``features`` is not
    of the fragments' grid, or ``kernels`` fewer than those name.
    """
    check_features(fragments, features, kernels)
    batch, person = fragments.grid[0], fragments.person
    total = batch * kernels
    seen = fragments.kernel >= 0
    flat = torch.where(seen, fragments.kernel + (person * kernels)[:, None], total)
    mean = gather_mean(features.flatten(0, 2), fragments.pixel, flat, fragments.weight, total)
    visible = torch.zeros(total + 1, dtype=torch.bool, device=flat.device)
    if flat.shape[1]:
        visible[flat[:, 0]] = True
    return mean.unflatten(0, (batch, kernels)), visible[:-1].unflatten(0, (batch, kernels))


def _in_one_dtype(kernels: Kernels) -> Kernels:
    """The precision in the dtype of the means, which is that of all results."""
    return replace(kernels, precision=kernels.precision.to(kernels.means.dtype))


def _gather(kernels: Kernels, slots: Slots) -> tuple[Tensor, Tensor]:
    """Means ``[3, m, n]`` and precision ``[m, n]`` or ``[3, 3, m, n]`` of the kernels in the slots."""
    index = slots.kernel.reshape(-1)
    return tuple(  # type: ignore[return-value]
        value.index_select(-1, index).unflatten(-1, slots.kernel.shape) for value in component_first(kernels)
    )
