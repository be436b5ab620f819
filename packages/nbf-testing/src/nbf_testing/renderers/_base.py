"""What a subclass of the suite says of its renderer, and what the tests of all themes build on."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from nbf_core.contracts import Renderer
from nbf_core.types import Camera, Kernels, RenderOutput
from nbf_testing.scenes import Primitive, kernel_scene, single_kernels
from nbf_testing.scenes import devices as devices_at_hand

INPUTS = ("means", "precision", "focal", "center", "attributes")


class Claims:
    """What the renderer under test claims; see :class:`nbf_testing.renderers.RendererConformance`."""

    primitive: Primitive = "gaussians"
    differentiable: tuple[str, ...] = INPUTS
    differentiable_silhouette: bool = True
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.float64)
    devices: tuple[str, ...] = ("cpu", "cuda", "mps")
    reference: str | None = "nbf_renderers:render_dense"
    approximate: float = 0.0

    def make_renderer(self, **options) -> Renderer:
        """The renderer under test, newly built, with ``options`` where the test hands over any."""
        raise NotImplementedError("a conformance test must say how its renderer is made")

    @pytest.fixture
    def renderer(self) -> Renderer:
        return self.make_renderer()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Every test meets the claimed devices that are at hand, and both dtypes or a reason why not."""
        if "device" in metafunc.fixturenames:
            metafunc.parametrize("device", _present(self.devices))
        if "dtype" in metafunc.fixturenames:
            metafunc.parametrize("dtype", [_claimed(dtype, self.dtypes) for dtype in (torch.float32, torch.float64)])

    # What tests are written with.

    def finest(self, device: str) -> torch.dtype:
        """The finest dtype that both renderer and device know."""
        return torch.float64 if torch.float64 in self.dtypes and device != "mps" else torch.float32

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


def seeded(seed: int) -> torch.Generator:
    """A generator of its own, on the CPU."""
    return torch.Generator().manual_seed(seed)


def noise(like: Tensor, seed: int) -> Tensor:
    """Normal random numbers of the shape, dtype and device of ``like``, the same on every device."""
    return torch.randn(*like.shape, generator=seeded(seed), dtype=torch.float64).to(like.dtype).to(like.device)


def _present(claimed: Sequence[str]) -> list:
    found = [device for device in devices_at_hand() if device in claimed]
    if found:
        return found
    reason = f"runs on {' or '.join(claimed)} only, and none of them is at hand"
    return [pytest.param("none", marks=pytest.mark.skip(reason=reason))]


def _claimed(dtype: torch.dtype, dtypes: Sequence[torch.dtype]):
    name = str(dtype).removeprefix("torch.")
    marks = () if dtype in dtypes else (pytest.mark.skip(reason=f"this renderer does not claim {name}"),)
    return pytest.param(dtype, id=name, marks=marks)
