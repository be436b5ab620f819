"""What every renderer must do."""

from nbf_render_numba import NumbaConfig, NumbaRenderer
from nbf_testing.renderers import RendererConformance


class TestConformance(RendererConformance):
    devices = ("cpu",)

    def make_renderer(self, **options):
        return NumbaRenderer(NumbaConfig(**{"threads": 2, **options}))
