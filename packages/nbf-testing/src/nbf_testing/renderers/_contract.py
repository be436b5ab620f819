"""Shapes, dtypes, devices, batches, and that a call changes nothing but its result."""

from __future__ import annotations

import pytest
import torch

from nbf_core.contracts import Renderer
from nbf_core.types import Kernels
from nbf_testing.renderers._base import Claims, draw, inputs_of, scene_of, with_means


class ContractTests(Claims):
    """The outside of :class:`nbf_core.contracts.Renderer`."""

    def test_fulfils_the_protocol(self, renderer):
        assert isinstance(renderer, Renderer)

    @pytest.mark.parametrize("anisotropic", [False, True], ids=["isotropic", "anisotropic"])
    @pytest.mark.parametrize("shared", [False, True], ids=["own_attributes", "shared_attributes"])
    def test_shapes_dtype_and_device(self, renderer, device, dtype, anisotropic, shared):
        if dtype == torch.float64 and device == "mps":
            pytest.skip("mps has no float64")
        kernels, camera, attributes = self.scene(device, dtype, anisotropic=anisotropic)
        output = renderer.render(kernels, camera, attributes[0] if shared else attributes)
        height, width = camera.size
        assert output.attributes.shape == (2, height, width, 3)
        assert output.silhouette.shape == (2, height, width)
        fragments = output.fragments
        for value in (output.attributes, output.silhouette, fragments.weight, fragments.depth, fragments.lost):
            assert value.dtype == dtype
            assert value.device == kernels.means.device
        for value in (fragments.pixel, fragments.kernel, fragments.truncated):
            assert not value.is_floating_point()
            assert value.device == kernels.means.device
        assert output.silhouette.min() >= 0 and 0 < output.silhouette.max() <= 1

    def test_shared_attributes_are_everyones_own(self, renderer, device):
        kernels, camera, attributes = self.scene(device)
        shared = renderer.render(kernels, camera, attributes[0]).attributes
        own = renderer.render(kernels, camera, attributes[:1].expand(2, -1, -1)).attributes
        torch.testing.assert_close(shared, own)

    @pytest.mark.parametrize("channels", [0, 1, 40])
    def test_any_number_of_channels(self, renderer, device, channels):
        kernels, camera, attributes = self.scene(device, channels=40)
        everything = renderer.render(kernels, camera, attributes)
        some = renderer.render(kernels, camera, attributes[..., :channels])
        assert some.attributes.shape == (2, *camera.size, channels)
        torch.testing.assert_close(some.attributes, everything.attributes[..., :channels])
        torch.testing.assert_close(some.silhouette, everything.silhouette)

    def test_people_of_a_batch_do_not_meet(self, renderer, device):
        scene = self.scene(device, batch=3)  # every person has a camera of its own
        together = renderer.render(*scene)
        for person in range(3):
            one = slice(person, person + 1)
            alone = renderer.render(*(part[one] for part in scene))
            torch.testing.assert_close(together.attributes[one], alone.attributes)
            torch.testing.assert_close(together.silhouette[one], alone.silhouette)
            mine = together.fragments.person == person
            assert torch.equal(together.fragments.truncated[mine], alone.fragments.truncated)
            slots = alone.fragments.kernel.shape[1]
            assert torch.equal(together.fragments.kernel[mine, :slots], alone.fragments.kernel)
            torch.testing.assert_close(together.fragments.lost[mine], alone.fragments.lost)

    def test_gradients_of_a_batch_do_not_meet(self, renderer, device):
        if "means" not in self.differentiable:
            pytest.skip("this renderer does not claim to be differentiable in means")
        kernels, camera, attributes = self.scene(device)
        means = kernels.means.clone().requires_grad_()
        renderer.render(with_means(kernels, means), camera, attributes).attributes[1].square().sum().backward()
        assert not means.grad[0].any() and means.grad[1].any()

    def test_order_of_kernels_does_not_matter(self, renderer, device):
        kernels, camera, attributes = self.scene(device)
        order = torch.randperm(kernels.means.shape[1], generator=torch.Generator().manual_seed(1)).to(device)
        faces = None if kernels.faces is None else order.argsort()[kernels.faces]
        shuffled = Kernels(kernels.means[:, order], kernels.precision[:, order], faces)
        first = renderer.render(kernels, camera, attributes)
        second = renderer.render(shuffled, camera, attributes[:, order])
        torch.testing.assert_close(first.attributes, second.attributes)

    def test_repeats_to_the_last_bit(self, renderer, device):
        scene = self.scene(device)
        first, second = renderer.render(*scene), renderer.render(*scene)
        assert torch.equal(first.attributes, second.attributes)
        assert torch.equal(first.silhouette, second.silhouette)
        assert torch.equal(first.fragments.kernel, second.fragments.kernel)
        another = self.make_renderer().render(*scene)
        assert torch.equal(first.attributes, another.attributes)

    def test_a_call_leaves_its_inputs_and_earlier_results_alone(self, renderer, device):
        scene = self.scene(device)
        before = [part.clone() for part in scene]
        first = renderer.render(*scene)
        kept = first.clone()
        renderer.render(*self.scene(device, seed=1, batch=1, count=40))
        for now, then in zip(scene, before, strict=True):
            _assert_same(now, then)
        _assert_same(first, kept)
        _assert_same(renderer.render(*scene), kept)

    def test_gradients_survive_a_call_in_between(self, renderer, device):
        wanted = [name for name in ("means", "attributes") if name in self.differentiable]
        if not wanted:
            pytest.skip("this renderer claims gradients neither in means nor in attributes")
        found = []
        for between in (False, True):
            inputs = inputs_of(*self.scene(device))
            leaves = [inputs[name].requires_grad_() for name in wanted]
            loss = draw(renderer, inputs).attributes.square().sum()
            if between:
                draw(renderer, inputs_of(*self.scene(device, seed=1)))
            found.append(torch.autograd.grad(loss, leaves))
        for alone, interrupted in zip(*found, strict=True):
            torch.testing.assert_close(alone, interrupted)

    def test_layout_in_memory_does_not_matter(self, renderer, device):
        inputs = inputs_of(*self.scene(device, anisotropic=True))
        expected = draw(renderer, inputs)
        scattered = {name: _scattered(value) for name, value in inputs.items()}
        assert not scattered["means"].is_contiguous()
        _assert_same(draw(renderer, scattered), expected)

    def test_expanded_inputs_are_taken(self, renderer, device):
        inputs = inputs_of(*(part[:1] for part in self.scene(device)))
        repeated = {name: _repeat(value, 3, copy=True) for name, value in inputs.items()}
        expanded = {name: _repeat(value, 3, copy=False) for name, value in inputs.items()}
        assert expanded["attributes"].stride(0) == 0
        _assert_same(draw(renderer, expanded), draw(renderer, repeated))
        constant = expanded["attributes"][:1, :1, :1].expand_as(expanded["attributes"])
        output = draw(renderer, {**expanded, "attributes": constant})
        solid = draw(renderer, {**expanded, "attributes": constant.contiguous()})
        torch.testing.assert_close(output.attributes, solid.attributes)

    def test_without_gradients_the_result_is_the_same(self, renderer, device):
        inputs = inputs_of(*self.scene(device))
        plain = draw(renderer, inputs)
        assert not plain.attributes.requires_grad and not plain.fragments.weight.requires_grad
        wanted = [name for name in self.differentiable if inputs[name].is_floating_point()]
        for name in wanted:
            inputs[name] = inputs[name].clone().requires_grad_()
        tracked = draw(renderer, inputs)
        assert tracked.attributes.requires_grad or not wanted
        with torch.no_grad():
            silent = draw(renderer, inputs)
        assert not silent.attributes.requires_grad
        torch.testing.assert_close(plain.attributes, tracked.attributes.detach())
        torch.testing.assert_close(plain.silhouette, silent.silhouette)

    def test_an_empty_picture_is_no_error(self, renderer, device):
        kernels, camera, attributes = self.scene(device)
        aside = kernels.means + kernels.means.new_tensor([1000.0, 0.0, 0.0])
        output = renderer.render(with_means(kernels, aside.requires_grad_()), camera, attributes)
        assert not output.attributes.any() and not output.silhouette.any()
        assert output.fragments.pixel.numel() == 0
        features = torch.ones(2, *camera.size, 4, dtype=aside.dtype, device=device)
        mean, visible = renderer.sample(output.fragments, features, aside.shape[1])
        assert mean.shape == (2, aside.shape[1], 4) and not mean.any() and not visible.any()
        if "means" in self.differentiable:  # a fit must survive a person out of the picture
            (output.attributes.sum() + output.silhouette.sum()).backward()
            assert not aside.grad.any()

    def test_one_person_out_of_the_picture_does_not_hurt_the_other(self, renderer, device):
        kernels, camera, attributes = self.scene(device)
        means = kernels.means.clone()
        means[0] += means.new_tensor([1000.0, 0.0, 0.0])
        both = renderer.render(with_means(kernels, means), camera, attributes)
        alone = renderer.render(*(part[1:] for part in scene_of(inputs_of(kernels, camera, attributes))))
        assert not both.silhouette[0].any()
        torch.testing.assert_close(both.attributes[1:], alone.attributes)


def _assert_same(first, second) -> None:
    """Equal tensors, in a record or alone."""
    if isinstance(first, torch.Tensor):
        torch.testing.assert_close(first, second, rtol=0, atol=0)
        return
    names = [name for name in vars(first) if isinstance(getattr(first, name), torch.Tensor)]
    for name in names:
        torch.testing.assert_close(getattr(first, name), getattr(second, name), rtol=1e-6, atol=1e-7)
    if hasattr(first, "fragments"):
        _assert_same(first.fragments, second.fragments)


def _scattered(value):
    """The same numbers in another order in memory, last axis slowest, with gaps."""
    if not isinstance(value, torch.Tensor):
        return value
    wide = torch.stack([value, torch.full_like(value, -7)], -1)
    backwards = wide.permute(*reversed(range(wide.dim()))).contiguous()
    return backwards.permute(*reversed(range(wide.dim())))[..., 0]


def _repeat(value, times: int, copy: bool):
    if not isinstance(value, torch.Tensor):
        return value
    many = value.expand(times, *value.shape[1:])
    return many.contiguous() if copy else many
