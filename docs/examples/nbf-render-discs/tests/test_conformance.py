"""What every renderer must do, and what this one does besides."""

import torch

from nbf_core.types import Camera, Kernels
from nbf_render_discs.config import DiscsRendererConfig
from nbf_render_discs.renderer import DiscsRenderer
from nbf_testing.renderers import RendererConformance


class TestDiscsRenderer(RendererConformance):
    reference = None  # its picture is not that of the published volume rendering

    def make_renderer(self):
        return DiscsRenderer(DiscsRendererConfig())


def test_a_disc_ends_at_its_reach():
    kernels = Kernels(torch.tensor([[[0.0, 0.0, 2.0]]]), torch.tensor([[100.0]]))
    camera = Camera.from_field((21, 21), 50.0, 1)
    output = DiscsRenderer(DiscsRendererConfig(reach=2.0)).render(kernels, camera, torch.ones(1, 1))
    assert output.silhouette[0, 10, 10] == 1
    columns = output.silhouette[0, 10].nonzero()[:, 0]
    assert columns.tolist() == list(range(6, 15))  # 0.2 m at 2 m are 5 pixels, where it weighs nothing
