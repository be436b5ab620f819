"""The fakes fulfil their contracts, and the suite says why it leaves out what they do not do."""

import pytest

from nbf_core.plugins import PluginManager
from nbf_testing import plugin_fake_renderer
from nbf_testing.fake_mesh import FakeMeshRenderer
from nbf_testing.fakes import FakeRenderer
from nbf_testing.renderers import RendererConformance


class TestFakeRenderer(RendererConformance):
    reference = None

    def make_renderer(self):
        return FakeRenderer()


class TestFakeMeshRenderer(RendererConformance):
    primitive = "mesh"
    reference = None
    differentiable = ("means", "focal", "center", "attributes")
    differentiable_silhouette = False

    def make_renderer(self):
        return FakeMeshRenderer()


def test_fake_renderer_is_a_plugin_like_any_other():
    manager = PluginManager()
    manager.register(plugin_fake_renderer, "nbf-testing")
    entry = manager.entries("renderers")["fake"]
    assert not manager.failures
    assert isinstance(entry.load()(entry.load_config()()), FakeRenderer)


@pytest.mark.parametrize("fake", [FakeRenderer, FakeMeshRenderer])
def test_what_a_fake_does_not_do_is_skipped_with_a_reason(fake):
    suite = TestFakeRenderer()
    with pytest.raises(pytest.skip.Exception, match="no reference"):
        suite.test_gradients_agree_with_the_reference("cpu", "defaults")
    with pytest.raises(pytest.skip.Exception, match="score"):
        suite.test_similarities_get_no_gradient(fake(), "cpu")
