"""The conformance suite of renderers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nbf_core.contracts import Renderer
from nbf_core.errors import ShapeError
from nbf_core.types import Camera, Kernels, RenderOutput
from nbf_testing.scenes import devices, kernel_scene, single_kernels

INPUTS = ("means", "precision", "focal", "center", "attributes")


class RendererConformance:
    """What every renderer must do. A plugin's test file is::

        class TestMine(RendererConformance):
            def make_renderer(self):
                return MyRenderer(MyConfig())

    A renderer that is not differentiable in everything, or not in both dtypes, says so by overriding
    ``differentiable`` or ``dtypes``; the tests that fall away then appear as skipped.
    """

    differentiable: tuple[str, ...] = INPUTS
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.float64)

    def make_renderer(self) -> Renderer:
        """The renderer under test, newly built."""
        raise NotImplementedError("a conformance test must say how its renderer is made")

    @pytest.fixture
    def renderer(self) -> Renderer:
        return self.make_renderer()

    @pytest.fixture(params=devices())
    def device(self, request) -> str:
        return request.param

    @pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
    def dtype(self, request) -> torch.dtype:
        if request.param not in self.dtypes:
            pytest.skip(f"this renderer does not claim {request.param}")
        return request.param

    def test_fulfils_the_protocol(self, renderer):
        assert isinstance(renderer, Renderer)

    @pytest.mark.parametrize("anisotropic", [False, True], ids=["isotropic", "anisotropic"])
    @pytest.mark.parametrize("shared", [False, True], ids=["own_attributes", "shared_attributes"])
    def test_shapes_dtype_and_device(self, renderer, device, dtype, anisotropic, shared):
        kernels, camera, attributes = kernel_scene(anisotropic=anisotropic, dtype=dtype, device=device)
        output = renderer.render(kernels, camera, attributes[0] if shared else attributes)
        height, width = camera.size
        assert output.attributes.shape == (2, height, width, 3)
        assert output.silhouette.shape == (2, height, width)
        for value in (output.attributes, output.silhouette, output.fragments.weight, output.fragments.depth):
            assert value.dtype == dtype
            assert value.device == kernels.means.device
        assert output.silhouette.min() >= 0 and 0 < output.silhouette.max() <= 1

    def test_fragments_are_well_formed(self, renderer, device):
        kernels, camera, attributes = kernel_scene(device=device, dtype=self.dtypes[-1])
        fragments = renderer.render(kernels, camera, attributes).fragments
        n, m = fragments.kernel.shape
        assert fragments.grid == (2, *camera.size)
        assert n > 0 and fragments.pixel.shape == fragments.truncated.shape == (n,)
        assert fragments.weight.shape == fragments.depth.shape == (n, m)
        assert (fragments.pixel.diff() > 0).all(), "pixels are ascending and unique"
        assert 0 <= fragments.pixel[0] and fragments.pixel[-1] < 2 * camera.size[0] * camera.size[1]
        empty = fragments.kernel == -1
        assert ((fragments.kernel >= 0) | empty).all() and (fragments.kernel < kernels.means.shape[1]).all()
        assert not empty[:, 0].any(), "a listed pixel sees something"
        assert (empty[:, 1:] >= empty[:, :-1]).all(), "empty slots come last"
        assert (fragments.weight[empty] == 0).all() and (fragments.weight >= 0).all()
        assert torch.isinf(fragments.depth[empty]).all() and torch.isfinite(fragments.depth[~empty]).all()
        both = ~empty[:, 1:]
        assert (fragments.depth[:, 1:][both] >= fragments.depth[:, :-1][both]).all(), "nearest first"
        assert (fragments.truncated >= 0).all()

    def test_picture_is_made_of_its_fragments(self, renderer, device):
        kernels, camera, attributes = kernel_scene(device=device, dtype=self.dtypes[-1])
        output = renderer.render(kernels, camera, attributes)
        fragments = output.fragments
        rows = attributes[fragments.person[:, None], fragments.kernel.clamp(min=0)]
        expected = torch.zeros_like(output.attributes).flatten(0, 2)
        expected[fragments.pixel] = (fragments.weight[..., None] * rows).sum(1)
        torch.testing.assert_close(output.attributes.flatten(0, 2), expected, rtol=1e-4, atol=1e-5)
        outside = torch.ones(output.silhouette.numel(), dtype=torch.bool, device=device)
        outside[fragments.pixel] = False
        assert (output.silhouette.flatten()[outside] == 0).all()

    def test_repeats_to_the_last_bit(self, renderer):
        scene = kernel_scene(dtype=self.dtypes[-1])
        first, second = renderer.render(*scene), renderer.render(*scene)
        assert torch.equal(first.attributes, second.attributes)
        assert torch.equal(first.fragments.kernel, second.fragments.kernel)

    def test_people_of_a_batch_do_not_meet(self, renderer, device):
        kernels, camera, attributes = kernel_scene(batch=3, device=device, dtype=self.dtypes[-1])
        together = renderer.render(kernels, camera, attributes)
        for person in range(3):
            one = slice(person, person + 1)
            alone = renderer.render(
                kernels.map(lambda v, one=one: v[one]),
                camera.map(lambda v, one=one: v[one]),
                attributes[one],
            )
            torch.testing.assert_close(together.attributes[one], alone.attributes)
            torch.testing.assert_close(together.silhouette[one], alone.silhouette)

    def test_order_of_kernels_does_not_matter(self, renderer):
        kernels, camera, attributes = kernel_scene(dtype=self.dtypes[-1])
        order = torch.randperm(kernels.means.shape[1], generator=torch.Generator().manual_seed(1))
        shuffled = kernels.map(lambda value: value[:, order])
        first = renderer.render(kernels, camera, attributes)
        second = renderer.render(shuffled, camera, attributes[:, order])
        torch.testing.assert_close(first.attributes, second.attributes)

    def test_a_kernel_lights_the_pixel_it_projects_to(self, renderer, device, dtype):
        kernels, camera, expected = single_kernels(dtype=dtype, device=device)
        output = renderer.render(kernels, camera, torch.ones(1, 1, dtype=dtype, device=device))
        projected = camera.project(kernels.means)[:, 0].floor().long()
        brightest = output.silhouette.flatten(1).argmax(1)
        row, column = brightest // camera.size[1], brightest % camera.size[1]
        assert torch.equal(torch.stack([column, row], -1), projected)
        assert torch.equal(projected, expected)

    def test_the_nearer_kernel_comes_first_and_hides_the_other(self, renderer):
        dtype = self.dtypes[-1]
        camera = Camera.from_field((8, 8), 16.0, 2, dtype=dtype)
        ray = torch.tensor([0.5 / 16, 0.5 / 16, 1.0], dtype=dtype)
        near_first = torch.tensor([[2.0, 4.0], [4.0, 2.0]], dtype=dtype)
        kernels = Kernels(near_first[..., None] * ray, torch.full((2, 2), 100.0, dtype=dtype))
        attributes = torch.eye(2, dtype=dtype)
        output = renderer.render(kernels, camera, attributes)
        centre = output.attributes[:, 4, 4]
        assert centre[0, 0] > centre[0, 1] and centre[1, 1] > centre[1, 0]
        lists = output.fragments.kernel[(output.fragments.pixel % 64) == 4 * 8 + 4]
        assert lists[:, 0].tolist() == [0, 1]

    def test_kernels_behind_the_camera_draw_nothing(self, renderer):
        kernels, camera, attributes = kernel_scene(dtype=self.dtypes[-1])
        behind = Kernels(-kernels.means, kernels.precision)
        assert renderer.render(behind, camera, attributes).silhouette.max() == 0

    def test_an_empty_picture_is_no_error(self, renderer, device):
        kernels, camera, attributes = kernel_scene(device=device, dtype=self.dtypes[-1])
        aside = kernels.means + kernels.means.new_tensor([1000.0, 0.0, 0.0])
        output = renderer.render(Kernels(aside.requires_grad_(), kernels.precision), camera, attributes)
        assert not output.attributes.any() and not output.silhouette.any()
        assert output.fragments.pixel.numel() == 0
        features = torch.ones(2, *camera.size, 4, dtype=aside.dtype, device=device)
        mean, visible = renderer.sample(output.fragments, features, aside.shape[1])
        assert mean.shape == (2, aside.shape[1], 4) and not mean.any() and not visible.any()
        if "means" in self.differentiable:  # a fit must survive a person out of the picture
            (output.attributes.sum() + output.silhouette.sum()).backward()

    def test_max_kernels_limits_the_slots(self, renderer):
        kernels, camera, attributes = kernel_scene(dtype=self.dtypes[-1])
        free = renderer.render(kernels, camera, attributes).fragments
        one = renderer.render(kernels, camera, attributes, max_kernels=1).fragments
        assert one.kernel.shape[1] == 1
        assert torch.equal(one.pixel, free.pixel)
        assert torch.equal(one.kernel[:, 0], free.kernel[:, 0])
        assert (one.truncated >= free.truncated).all()

    @pytest.mark.parametrize("name", INPUTS)
    def test_gradients_match_finite_differences(self, renderer, name):
        if name not in self.differentiable:
            pytest.skip(f"this renderer does not claim to be differentiable in {name}")
        if torch.float64 not in self.dtypes:
            pytest.skip("finite differences need float64")
        inputs = _inputs(*kernel_scene(batch=1, count=8, channels=2))
        pull = torch.randn(*_draw(renderer, inputs).attributes.shape, generator=_seeded(2)).double()

        def loss(value: Tensor) -> Tensor:
            output = _draw(renderer, {**inputs, name: value})
            return (output.attributes * pull).sum() + output.silhouette.square().sum()

        value = inputs[name].clone().requires_grad_()
        step = torch.randn(*value.shape, generator=_seeded(3)).double()
        gradient = torch.autograd.grad(loss(value), value)[0]
        length = 1e-6
        with torch.no_grad():
            numeric = (loss(value + length * step) - loss(value - length * step)) / (2 * length)
        assert gradient.abs().max() > 0
        torch.testing.assert_close((gradient * step).sum(), numeric, rtol=1e-4, atol=1e-7)

    def test_sampling_gives_back_what_was_drawn(self, renderer, device):
        kernels, camera, _ = single_kernels(dtype=self.dtypes[-1], device=device)
        attributes = torch.arange(1.0, 13.0, dtype=self.dtypes[-1], device=device).view(-1, 1, 3)
        output = renderer.render(kernels, camera, attributes)
        cover = torch.zeros_like(output.silhouette).flatten()
        cover[output.fragments.pixel] = output.fragments.weight.sum(1)
        cover = cover.view_as(output.silhouette)[..., None]
        picture = torch.where(cover > 0, output.attributes / cover.clamp_min(1e-30), 0)
        mean, visible = renderer.sample(output.fragments, picture, 1)
        assert visible.all()
        torch.testing.assert_close(mean, attributes, rtol=1e-4, atol=1e-4)

    def test_sampling_is_a_mean_over_visible_pixels(self, renderer, device):
        kernels, camera, attributes = kernel_scene(device=device, dtype=self.dtypes[-1])
        fragments = renderer.render(kernels, camera, attributes).fragments
        features = torch.rand(2, *camera.size, 5, generator=_seeded(4)).to(attributes)
        features.requires_grad_()
        count = kernels.means.shape[1]
        mean, visible = renderer.sample(fragments, features, count)
        assert mean.shape == (2, count, 5) and mean.dtype == features.dtype
        assert visible.shape == (2, count) and visible.dtype == torch.bool
        expected = torch.zeros_like(visible)
        expected[fragments.person, fragments.kernel[:, 0]] = True
        assert torch.equal(visible, expected)
        assert mean.min() >= 0 and mean.max() <= features.max()
        hit = torch.zeros_like(visible)
        seen = fragments.kernel >= 0
        hit[fragments.person[:, None].expand_as(seen)[seen], fragments.kernel[seen]] = True
        assert not mean[~hit].any(), "a kernel that is never hit gets zeros"
        mean.sum().backward()
        assert torch.isfinite(features.grad).all() and features.grad.any()

    @pytest.mark.parametrize("name", INPUTS)
    @pytest.mark.wrong_shapes
    def test_wrong_shapes_are_refused(self, renderer, name):
        inputs = _inputs(*kernel_scene(dtype=self.dtypes[-1]))
        value = inputs[name]
        # one kernel's attributes short; one number too few for every person; no batch
        short = value[:, :-1] if name == "attributes" else value[:, :1] if value.dim() == 2 else value[0]
        inputs[name] = short
        with pytest.raises(ShapeError):
            _draw(renderer, inputs)

    def test_a_camera_for_another_batch_is_refused(self, renderer):
        kernels, camera, attributes = kernel_scene(dtype=self.dtypes[-1])
        with pytest.raises(ShapeError, match="camera"):
            renderer.render(kernels, camera.map(lambda value: value[:1]), attributes)

    def test_features_of_another_size_are_refused(self, renderer):
        kernels, camera, attributes = kernel_scene(dtype=self.dtypes[-1])
        fragments = renderer.render(kernels, camera, attributes).fragments
        height, width = camera.size
        with pytest.raises(ShapeError, match="features"):
            renderer.sample(fragments, attributes.new_ones(2, width, height, 4), kernels.means.shape[1])


def _inputs(kernels: Kernels, camera: Camera, attributes: Tensor) -> dict:
    return {
        "means": kernels.means,
        "precision": kernels.precision,
        "focal": camera.focal,
        "center": camera.center,
        "attributes": attributes,
        "size": camera.size,
    }


def _draw(renderer: Renderer, inputs: dict) -> RenderOutput:
    camera = Camera(inputs["focal"], inputs["center"], inputs["size"])
    return renderer.render(Kernels(inputs["means"], inputs["precision"]), camera, inputs["attributes"])


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
