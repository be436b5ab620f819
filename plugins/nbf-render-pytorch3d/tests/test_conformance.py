"""The contract of renderers, in both forms."""

import pytest

pytest.importorskip(
    "pytorch3d", reason="PyTorch3D is not installed here; these run by: python3 tools/dev.py env nbf-render-pytorch3d"
)

from nbf_render_pytorch3d import PyTorch3DConfig, PyTorch3DRenderer
from nbf_testing.renderers import RendererConformance


class TestHard(RendererConformance):
    primitive = "mesh"
    differentiable = ("means", "focal", "center", "attributes")
    differentiable_silhouette = False
    devices = ("cpu", "cuda")
    reference = None

    def make_renderer(self, **options):
        return PyTorch3DRenderer(PyTorch3DConfig(**options))


class TestSoft(TestHard):
    differentiable_silhouette = True

    def make_renderer(self, **options):
        return PyTorch3DRenderer(PyTorch3DConfig(form="soft", **options))
