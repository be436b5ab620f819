"""Every kernel compiles for NVIDIA GPUs, down to their machine code; that needs Triton but no GPU.

Triton's driver is replaced by one that names a GPU, and launching by compiling: the renderer then runs its whole
course with the very arguments and options it would launch with, and computes nothing.
"""

import importlib.util
import os

import pytest
import torch

from nbf_core.errors import NbfError
from nbf_core.types import Camera, Kernels, Similarities
from nbf_testing.scenes import kernel_scene

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("triton") is None,
        reason="triton is not installed (Linux: pip install 'nbf-render-triton[gpu]')",
    ),
    pytest.mark.skipif(
        os.environ.get("TRITON_INTERPRET") == "1",
        reason="Triton's interpreter compiles nothing; run again without TRITON_INTERPRET",
    ),
]

KERNELS = {
    "find_boxes",
    "select_slots",
    "weigh_slots",
    "pull_slots",
    "pull_kernels",
    "pull_directions",
    "mix_slots",
    "pull_weights",
    "pull_table",
    "score_slots",
}


class PaperGPU:
    """As much of a driver as compiling asks for."""

    def get_current_device(self):
        return 1000  # what is compiled is remembered by this number, and must not be taken for a real GPU's

    def get_current_stream(self, device):
        return 0

    def get_current_target(self):
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", 80, 32)


@pytest.fixture
def compiled(monkeypatch):
    """Names of the kernels that were compiled instead of launched."""
    from triton.runtime import driver

    from nbf_render_triton import _mix, _scene, _score, _volume, renderer

    names = set()

    def launch(kernel, grid, device, *arguments, **options):
        if 0 not in grid:
            assert kernel.warmup(*arguments, grid=grid, **options).asm["cubin"]
            names.add(kernel.__name__)

    for module in (_mix, _score, _volume):
        monkeypatch.setattr(module, "launch", launch)
    monkeypatch.setattr(renderer, "check_device", lambda means: None)
    monkeypatch.setattr(_scene.Blocks, "of", staticmethod(lambda device: _scene.Blocks()))
    driver.set_active(PaperGPU())
    yield names
    if torch.cuda.is_available():
        driver.reset_active()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("anisotropic", [False, True], ids=["isotropic", "anisotropic"])
@pytest.mark.parametrize("size, slots", [((14, 20), 20), ((1, 1), 1)], ids=["picture", "one-pixel"])
def test_every_kernel_compiles(compiled, dtype, anisotropic, size, slots):
    from nbf_render_triton import TritonRenderer

    inputs = kernel_scene(anisotropic=anisotropic, dtype=dtype, size=size)
    kernels, camera, attributes = (part.clone() for part in inputs)
    leaves = [kernels.means, kernels.precision, camera.focal, camera.center, attributes]
    means, precision, focal, center, table = (leaf.requires_grad_() for leaf in leaves)
    kernels, camera = Kernels(means, precision), Camera(focal, center, size)
    renderer = TritonRenderer()
    for rows in (table, table.detach()[0].clone().requires_grad_()):
        output = renderer.render(kernels, camera, rows, slots)
        (output.attributes.sum() + output.silhouette.sum() + output.fragments.depth.sum()).backward()
    similarities = Similarities(torch.zeros(2, *size, 25, 3, dtype=dtype), torch.zeros(25, 25, 3, dtype=dtype))
    renderer.score(kernels, camera, table, similarities, slots).score.sum().backward()
    assert compiled == KERNELS


def test_tensors_on_a_cpu_are_refused():
    from nbf_render_triton import TritonRenderer

    with pytest.raises(NbfError, match="is on cpu.*use the renderer gaussian"):
        TritonRenderer().render(*kernel_scene())
