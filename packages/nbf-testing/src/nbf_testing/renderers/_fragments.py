"""What each pixel sees: order, emptiness, depth, and what ``max_kernels`` cut off."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from nbf_core.types import Camera
from nbf_testing.renderers._base import Claims

# No kernel weighs more, seen alone through its centre by a renderer without absorption.
_HEAVIEST = math.exp(0.5)


class FragmentTests(Claims):
    """The record :class:`nbf_core.types.Fragments`."""

    @pytest.mark.parametrize("max_kernels", [None, 2])
    def test_fragments_are_well_formed(self, renderer, device, max_kernels):
        kernels, camera, attributes = self.scene(device)
        fragments = renderer.render(kernels, camera, attributes, max_kernels=max_kernels).fragments
        n, m = fragments.kernel.shape
        assert fragments.grid == (2, *camera.size)
        assert n > 0 and fragments.pixel.shape == fragments.truncated.shape == fragments.lost.shape == (n,)
        assert fragments.weight.shape == fragments.depth.shape == (n, m)
        assert (fragments.pixel.diff() > 0).all(), "pixels are ascending and unique"
        assert 0 <= fragments.pixel[0] and fragments.pixel[-1] < 2 * camera.size[0] * camera.size[1]
        empty = fragments.kernel == -1
        assert ((fragments.kernel >= 0) | empty).all() and (fragments.kernel < kernels.means.shape[1]).all()
        assert not empty[:, 0].any(), "a listed pixel sees something"
        assert (empty[:, 1:] >= empty[:, :-1]).all(), "empty slots come last"
        assert (fragments.weight[empty] == 0).all() and (fragments.weight >= 0).all()
        assert torch.isinf(fragments.depth[empty]).all() and torch.isfinite(fragments.depth[~empty]).all()
        assert (fragments.depth[~empty] > 0).all(), "nothing is seen behind the camera"
        both = ~empty[:, 1:]
        assert (fragments.depth[:, 1:][both] >= fragments.depth[:, :-1][both]).all(), "nearest first"
        assert (fragments.truncated >= 0).all() and (fragments.lost >= 0).all()

    def test_picture_is_made_of_its_fragments(self, renderer, device):
        kernels, camera, attributes = self.scene(device)
        output = renderer.render(kernels, camera, attributes)
        fragments = output.fragments
        rows = attributes[fragments.person[:, None], fragments.kernel.clamp(min=0)]
        expected = torch.zeros_like(output.attributes).flatten(0, 2)
        expected[fragments.pixel] = (fragments.weight[..., None] * rows).sum(1)
        torch.testing.assert_close(output.attributes.flatten(0, 2), expected, rtol=1e-4, atol=1e-5)
        outside = torch.ones(output.silhouette.numel(), dtype=torch.bool, device=device)
        outside[fragments.pixel] = False
        assert (output.silhouette.flatten()[outside] == 0).all()

    def test_silhouette_is_the_weight_in_a_pixel(self, renderer, device):
        output = renderer.render(*self.scene(device))
        expected = torch.zeros_like(output.silhouette).flatten()
        expected[output.fragments.pixel] = output.fragments.weight.sum(1).clamp(max=1)
        torch.testing.assert_close(output.silhouette.flatten(), expected, rtol=1e-4, atol=1e-5)

    def test_depth_is_the_distance_along_the_ray(self, renderer, device):
        kernels, camera, _ = self.singles(device)
        count = kernels.means.shape[1]
        fragments = renderer.render(kernels, camera, kernels.means.new_ones(count, 1)).fragments
        center = kernels.means.mean(1)
        radius = (kernels.means - center[:, None]).norm(dim=-1).amax(1) + 1e-4
        in_the_middle = _pixels_of(camera, center)[fragments.person] == fragments.pixel
        assert in_the_middle.sum() == 4
        first = fragments.depth[in_the_middle, 0]
        assert ((first - center.norm(dim=-1)).abs() <= radius).all()

    @pytest.mark.parametrize("anisotropic", [False, True], ids=["isotropic", "anisotropic"])
    def test_depth_is_where_the_density_peaks(self, device, anisotropic):
        """``l = (mu' S d) / (d' S d)`` with unit rays ``d``, for every kernel that a pixel lists."""
        self.skip_unless_published()
        kernels, camera, attributes = self.scene(device, anisotropic=anisotropic)
        fragments = self.make_renderer().render(kernels, camera, attributes).fragments
        seen = fragments.kernel >= 0
        person, index = fragments.person[:, None].expand_as(seen)[seen], fragments.kernel[seen]
        ray = camera.rays().flatten(0, 2)[fragments.pixel][:, None].expand(*seen.shape, 3)[seen]
        precision = matrices(kernels.precision)[person, index]
        turned = (precision @ ray[..., None])[..., 0]
        expected = (kernels.means[person, index] * turned).sum(-1) / (ray * turned).sum(-1)
        torch.testing.assert_close(fragments.depth[seen].to(expected), expected, rtol=1e-5, atol=1e-5)

    def test_max_kernels_limits_the_slots(self, renderer, device):
        kernels, camera, attributes = self.scene(device)
        free = renderer.render(kernels, camera, attributes).fragments
        one = renderer.render(kernels, camera, attributes, max_kernels=1).fragments
        assert one.kernel.shape[1] == 1
        assert torch.equal(one.pixel, free.pixel)
        assert torch.equal(one.kernel[:, 0], free.kernel[:, 0])
        assert (one.truncated >= free.truncated).all()

    @pytest.mark.parametrize("max_kernels", [1, 3])
    def test_what_is_cut_off_is_counted_and_bounded(self, renderer, device, max_kernels):
        """``truncated`` and ``lost`` against the same scene with nothing cut."""
        kernels, camera, attributes = self.scene(device, count=40)
        everything = renderer.render(kernels, camera, attributes, max_kernels=kernels.means.shape[1]).fragments
        few = renderer.render(kernels, camera, attributes, max_kernels=max_kernels).fragments
        slots = few.kernel.shape[1]
        assert torch.equal(few.pixel, everything.pixel)
        assert torch.equal(few.kernel, everything.kernel[:, :slots]), "the nearest are kept"
        whole = everything.truncated == 0
        beyond = (everything.kernel[:, slots:] >= 0).sum(1)
        if self.primitive == "gaussians":
            assert torch.equal(few.truncated[whole], beyond[whole])
        assert ((few.truncated > 0) | (beyond == 0))[whole].all()
        lost = everything.weight[:, slots:].sum(1)
        assert (few.lost >= lost * (1 - 1e-5) - 1e-6).all(), "lost is an upper bound"
        assert (few.lost <= few.truncated * _HEAVIEST + 1e-6).all(), "no kernel weighs more than exp(1/2)"
        assert not few.lost[few.truncated == 0].any()

    def test_nothing_is_lost_where_nothing_is_cut(self, renderer, device):
        kernels, camera, attributes = self.scene(device)
        fragments = renderer.render(kernels, camera, attributes, max_kernels=kernels.means.shape[1]).fragments
        assert not fragments.lost[fragments.truncated == 0].any()
        if self.reference is not None:
            assert not fragments.truncated.any()

    def test_weights_of_kept_kernels_do_not_depend_on_what_is_cut(self, device):
        self.skip_unless_published()
        kernels, camera, attributes = self.scene(device)
        renderer = self.make_renderer()
        one, many = (renderer.render(kernels, camera, attributes, max_kernels=m).fragments for m in (1, 25))
        # the nearest kernel alone is hidden by itself only; more kernels can only take light from it
        assert (one.weight[:, 0] >= many.weight[:, 0] - 1e-6).all()


def matrices(precision: Tensor) -> Tensor:
    """Precision as matrices ``[b, k, 3, 3]``."""
    if precision.dim() == 4:
        return precision
    return precision[..., None, None] * torch.eye(3, dtype=precision.dtype, device=precision.device)


def _pixels_of(camera: Camera, points: Tensor) -> Tensor:
    """Flat pixel, over the batch, that each person's one point ``[b, 3]`` falls into."""
    column, row = camera.project(points[:, None])[:, 0].floor().long().unbind(-1)
    person = torch.arange(len(points), device=points.device)
    return (person * camera.size[0] + row) * camera.size[1] + column
