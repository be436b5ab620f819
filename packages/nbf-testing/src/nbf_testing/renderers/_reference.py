"""Agreement with the dense formulas, and the accuracy of float32.

The formulas themselves live with the renderers: this package imports none of them, the suite looks them up by name.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nbf_core.types import Camera, Kernels, RenderOutput
from nbf_testing.renderers._base import Claims, inputs_of, noise, scene_of
from nbf_testing.renderers._fragments import matrices
from nbf_testing.scenes import body

# anisotropic, size (height, width), kernels, options, seed
CASES = {
    "defaults": (False, (14, 20), 25, {"max_kernels": 10, "threshold": 1e-4, "absorptivity": 1.0}, 0),
    "anisotropic": (True, (14, 20), 25, {"max_kernels": 10, "threshold": 1e-4, "absorptivity": 1.0}, 1),
    "published-threshold": (True, (20, 9), 25, {"max_kernels": 25, "threshold": 0.0, "absorptivity": 1.0}, 2),
    "one-kernel": (False, (7, 21), 25, {"max_kernels": 1, "threshold": 1e-4, "absorptivity": 1.0}, 3),
    "crowded": (True, (10, 11), 60, {"max_kernels": 4, "threshold": 0.01, "absorptivity": 2.5}, 4),
    "transparent": (False, (14, 20), 25, {"max_kernels": 5, "threshold": 0.2, "absorptivity": 0.0}, 5),
}


class ReferenceTests(Claims):
    """For renderers of the published volume model: ``reference`` is not None."""

    @pytest.mark.parametrize("case", CASES)
    def test_pictures_agree_with_the_reference(self, device, dtype, case):
        if dtype == torch.float64 and device == "mps":
            pytest.skip("mps has no float64")
        self.skip_unless_published()
        anisotropic, size, count, options, seed = CASES[case]
        scene = self.scene(device, dtype, anisotropic=anisotropic, size=size, count=count, seed=seed)
        image, silhouette = self.dense(*_finely(scene), **options)
        output = self.built_with(**options).render(*scene)
        rtol, atol = (1e-8, 1e-9) if dtype == torch.float64 else (1e-4, 2e-5)
        for value, expected in ((output.attributes, image), (output.silhouette, silhouette)):
            torch.testing.assert_close(_finely([value])[0], expected, rtol=rtol, atol=atol + self.approximate)

    @pytest.mark.parametrize("case", CASES)
    def test_gradients_agree_with_the_reference(self, device, case):
        self.skip_unless_published()
        anisotropic, size, count, options, seed = CASES[case]
        scene = self.scene(device, anisotropic=anisotropic, size=size, count=count, seed=seed)
        render = self.built_with(**options).render

        def rendered(*parts) -> tuple[Tensor, Tensor]:
            output: RenderOutput = render(*parts)
            return output.attributes, output.silhouette

        found = _gradients(rendered, scene, self.differentiable)
        expected = _gradients(lambda *parts: self.dense(*parts, **options), _finely(scene), self.differentiable)
        fine = self.finest(device) == torch.float64
        for name in self.differentiable:
            value, reference = _finely([found[name]])[0], expected[name]
            scale = 1e-8 if fine else 1e-3 + self.approximate
            torch.testing.assert_close(
                value, reference, rtol=scale, atol=scale * float(reference.abs().max()), msg=_naming(name)
            )

    def test_float32_is_accurate_for_a_person_at_forty_metres(self, device):
        """With f = 5000 for an image of 320 px, drawn at a quarter of that, as published."""
        self.skip_unless_published()
        if torch.float32 not in self.dtypes:
            pytest.skip("this renderer does not claim float32")
        kernels, camera = body(40.0)
        options = {"max_kernels": 20, "threshold": 1e-4, "absorptivity": 1.0}
        renderer = self.built_with(**options)
        # what float32 makes of the inputs is not the renderer's doing
        kernels, camera = kernels.to(dtype=torch.float32), camera.to(dtype=torch.float32)
        attributes = torch.ones(kernels.means.shape[1], 1)  # the picture is the silhouette before it is clamped
        rough = renderer.render(kernels.to(device), camera.to(device), attributes.to(device)).attributes
        exact = self._exact(renderer, kernels, camera, attributes, options)
        error = (_finely([rough])[0] - exact).abs()
        print(f"float32 at 40 m: sum of weights off by {error.max():.2e} at most, {error.mean():.2e} on average")
        assert error.max() < 1e-3 + self.approximate

    def dense(
        self, kernels: Kernels, camera: Camera, attributes: Tensor, rays: Tensor | None = None, **options
    ) -> tuple[Tensor, Tensor]:
        """Attribute map and silhouette by the reference's formulas; skips where they are not installed."""
        formulas = _look_up(self.reference)
        if attributes.dim() == 2:
            attributes = attributes.expand(len(kernels.means), *attributes.shape)
        rays = camera.rays() if rays is None else rays
        return formulas(kernels.means, matrices(kernels.precision), rays, attributes, **options)

    def _exact(self, renderer, kernels: Kernels, camera: Camera, attributes: Tensor, options: dict) -> Tensor:
        """The sums of weights in float64: by the renderer itself, which is quicker, where it knows float64."""
        kernels, camera, attributes = _finely((kernels, camera, attributes))
        if torch.float64 in self.dtypes and "cpu" in self.devices:
            return renderer.render(kernels, camera, attributes).attributes
        rows = camera.rays().split(8, dim=1)
        return torch.cat([self.dense(kernels, camera, attributes, rays=some, **options)[0] for some in rows], 1)


def _gradients(render: Callable, scene: tuple, names: tuple[str, ...]) -> dict[str, Tensor]:
    inputs = inputs_of(*scene)
    leaves = [inputs.update({name: inputs[name].clone().requires_grad_()}) or inputs[name] for name in names]
    image, silhouette = render(*scene_of(inputs))
    loss = (image * noise(image, 6)).sum() + (silhouette * noise(silhouette, 7)).sum()
    found = dict(zip(names, torch.autograd.grad(loss, leaves), strict=True))
    if "precision" in found and found["precision"].dim() == 4:
        found["precision"] = (found["precision"] + found["precision"].mT) / 2  # the rest has no meaning
    return found


def _finely(parts) -> tuple:
    """In float64, on the CPU."""
    return tuple(part.detach().to("cpu").to(dtype=torch.float64) for part in parts)


def _naming(name: str) -> Callable[[str], str]:
    return lambda message: f"gradient of {name}: {message}"


def _look_up(target: str) -> Callable:
    module, name = target.split(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        pytest.skip(f"the reference {target} cannot be imported: {error}")
