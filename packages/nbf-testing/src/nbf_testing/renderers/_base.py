"""What a subclass of the suite says of its renderer, and what the tests of all themes build on."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor

from nbf_core.contracts import Renderer
from nbf_core.types import Camera, Kernels, RenderOutput
from nbf_testing.claims import Suite, noise, seeded
from nbf_testing.scenes import Primitive, kernel_scene, single_kernels

__all__ = ["INPUTS", "Claims", "draw", "inputs_of", "noise", "scene_of", "seeded", "with_means"]

INPUTS = ("means", "precision", "focal", "center", "attributes")


class Claims(Suite):
    """What the renderer under test claims; see :class:`nbf_testing.renderers.RendererConformance`."""

    primitive: Primitive = "gaussians"
    differentiable: tuple[str, ...] = INPUTS
    differentiable_silhouette: bool = True
    reference: str | None = "nbf_renderers:render_dense"
    approximate: float = 0.0

    def make_renderer(self, **options) -> Renderer:
        """The renderer under test, newly built, with ``options`` where the test hands over any."""
        raise NotImplementedError("a conformance test must say how its renderer is made")

    @pytest.fixture
    def renderer(self) -> Renderer:
        return self.make_renderer()

    # What tests are written with.

    def scene(self, device: str = "cpu", dtype: torch.dtype | None = None, **options):
        """:func:`nbf_testing.scenes.kernel_scene` in this renderer's primitive."""
        return kernel_scene(device=device, dtype=dtype or self.finest(device), primitive=self.primitive, **options)

    def singles(self, device: str = "cpu", dtype: torch.dtype | None = None):
        """:func:`nbf_testing.scenes.single_kernels` in this renderer's primitive."""
        return single_kernels(dtype=dtype or self.finest(device), device=device, primitive=self.primitive)

    def built_with(self, **options) -> Renderer:
        """The renderer with these options; skips where ``make_renderer`` takes none."""
        kinds = [parameter.kind for parameter in inspect.signature(self.make_renderer).parameters.values()]
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            pytest.skip("make_renderer(self) takes no **options, so none but the defaults can be tested")
        return self.make_renderer(**options)

    def skip_unless_published(self) -> None:
        """Skip what holds for the published volume model only, whose dense formulas ``reference`` names."""
        if self.reference is None:
            pytest.skip("this renderer names no reference: it is another model than the published volume rendering")

    def only_for(self, primitive: Primitive, why: str) -> None:
        """Skip what only Gaussians, or only meshes, do."""
        if self.primitive != primitive:
            pytest.skip(f"for {primitive} only: {why}")


def inputs_of(kernels: Kernels, camera: Camera, attributes: Tensor) -> dict:
    """A scene's tensors by name, for replacing one of them."""
    return {
        "means": kernels.means,
        "precision": kernels.precision,
        "faces": kernels.faces,
        "focal": camera.focal,
        "center": camera.center,
        "attributes": attributes,
        "size": camera.size,
    }


def scene_of(inputs: dict) -> tuple[Kernels, Camera, Tensor]:
    """The reverse of :func:`inputs_of`."""
    camera = Camera(inputs["focal"], inputs["center"], inputs["size"])
    return Kernels(inputs["means"], inputs["precision"], inputs["faces"]), camera, inputs["attributes"]


def draw(renderer: Renderer, inputs: dict) -> RenderOutput:
    """Render the scene that ``inputs`` describe."""
    return renderer.render(*scene_of(inputs))


def with_means(kernels: Kernels, means: Tensor) -> Kernels:
    """The kernels moved to ``means``."""
    return Kernels(means, kernels.precision, kernels.faces)
