"""The kit holds on its own fake, and catches renderers that are wrong."""

import pytest
import torch

from nbf_core.plugins import PluginManager
from nbf_core.types import Camera
from nbf_testing import plugin_fake_renderer
from nbf_testing.fakes import FakeRenderer
from nbf_testing.renderers import RendererConformance


class TestFakeRenderer(RendererConformance):
    def make_renderer(self):
        return FakeRenderer()


def test_fake_renderer_is_a_plugin_like_any_other():
    manager = PluginManager()
    manager.register(plugin_fake_renderer, "nbf-testing")
    entry = manager.entries("renderers")["fake"]
    assert not manager.failures
    assert isinstance(entry.load()(entry.load_config()()), FakeRenderer)


class Swapped(FakeRenderer):
    """Mistakes x for y."""

    def render(self, kernels, camera, attributes, max_kernels=None):
        swapped = Camera(camera.focal.flip(-1), camera.center.flip(-1), camera.size)
        return super().render(kernels, swapped, attributes, max_kernels)


class HalfPixel(FakeRenderer):
    """Has its pixel centres at integers."""

    def render(self, kernels, camera, attributes, max_kernels=None):
        moved = Camera(camera.focal, camera.center + 0.6, camera.size)
        return super().render(kernels, moved, attributes, max_kernels)


@pytest.mark.parametrize("wrong", [Swapped, HalfPixel])
def test_the_suite_catches_a_wrong_camera(wrong):
    with pytest.raises(AssertionError):
        TestFakeRenderer().test_a_kernel_lights_the_pixel_it_projects_to(wrong(), "cpu", torch.float64)


class Detached(FakeRenderer):
    """Forgets the gradient of the means."""

    def render(self, kernels, camera, attributes, max_kernels=None):
        return super().render(kernels.detach(), camera, attributes, max_kernels)


def test_the_suite_catches_a_missing_gradient():
    with pytest.raises((AssertionError, RuntimeError)):
        TestFakeRenderer().test_gradients_match_finite_differences(Detached(), "means")
