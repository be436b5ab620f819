"""Gradients: present, finite, and equal to finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nbf_testing.renderers._base import INPUTS, Claims, draw, inputs_of, noise
from nbf_testing.scenes import filled_picture


class GradientTests(Claims):
    """Of the picture, the silhouette, the fragments' weights and the sampled features."""

    @pytest.mark.parametrize("name", INPUTS)
    @pytest.mark.parametrize("anisotropic", [False, True], ids=["isotropic", "anisotropic"])
    def test_gradients_match_finite_differences(self, renderer, device, name, anisotropic):
        self._needs(name)
        inputs = self._smooth_scene(device, anisotropic)
        pull = noise(draw(renderer, inputs).attributes, 2)
        self._check(lambda values: (draw(renderer, values).attributes * pull).sum(), inputs, name)

    @pytest.mark.parametrize("name", [name for name in INPUTS if name != "attributes"])
    def test_silhouette_gradients_match_finite_differences(self, renderer, device, name):
        self._needs(name)
        if not self.differentiable_silhouette:
            pytest.skip("this renderer does not claim a differentiable silhouette")
        inputs = inputs_of(*self.scene(device, batch=1, count=8))
        self._check(lambda values: draw(renderer, values).silhouette.square().sum(), inputs, name)

    @pytest.mark.parametrize("name", [name for name in INPUTS if name != "attributes"])
    def test_weight_gradients_match_finite_differences(self, renderer, device, name):
        self._needs(name)
        inputs = self._smooth_scene(device, anisotropic=False)
        pixels = inputs["size"][0] * inputs["size"][1]
        pull = noise(inputs["means"].new_zeros(pixels, inputs["means"].shape[1]), 2)

        def loss(values: dict) -> Tensor:
            fragments = draw(renderer, values).fragments
            return (fragments.weight * pull[fragments.pixel[:, None], fragments.kernel]).sum()  # empty slots weigh 0

        self._check(loss, inputs, name)

    def test_sampled_features_carry_gradients_to_the_means(self, renderer, device):
        """Through the weights: what a kernel reads changes as it moves."""
        self._needs("means")
        inputs = self._smooth_scene(device, anisotropic=False)
        count = inputs["means"].shape[1]
        features = noise(inputs["means"].new_zeros(1, *inputs["size"], 3), 4)
        pull = noise(inputs["means"].new_zeros(1, count, 3), 2)

        def loss(values: dict) -> Tensor:
            return (renderer.sample(draw(renderer, values).fragments, features, count)[0] * pull).sum()

        self._check(loss, inputs, "means")

    def test_sampled_features_carry_gradients_to_the_features(self, renderer, device):
        inputs = inputs_of(*self.scene(device))
        count = inputs["means"].shape[1]
        fragments = draw(renderer, inputs).fragments
        features = noise(inputs["means"].new_zeros(2, *inputs["size"], 3), 4)
        pull = noise(inputs["means"].new_zeros(2, count, 3), 2)
        self._check(
            lambda values: (renderer.sample(fragments, values["features"], count)[0] * pull).sum(),
            {"features": features},
            "features",
        )

    def test_gradients_are_finite_whatever_the_weights(self, renderer, device):
        """At the rims of kernels, under full overlap and in pixels that see one kernel only."""
        inputs = inputs_of(*self.scene(device, count=40))
        leaves = [inputs[name].requires_grad_() for name in self.differentiable]
        if not leaves:
            pytest.skip("this renderer claims no gradients")
        output = draw(renderer, inputs)
        found = torch.autograd.grad(output.attributes.sum() + output.silhouette.sum(), leaves, allow_unused=True)
        for name, gradient in zip(self.differentiable, found, strict=True):
            assert gradient is not None, f"{name} gets no gradient"
            assert torch.isfinite(gradient).all(), f"the gradient of {name} is not finite"

    def test_repeated_backward_gives_the_same(self, renderer, device):
        self._needs("means")
        inputs = inputs_of(*self.scene(device))
        means = inputs["means"].requires_grad_()
        loss = draw(renderer, inputs).attributes.square().sum()
        first, second = (torch.autograd.grad(loss, means, retain_graph=True)[0] for _ in range(2))
        torch.testing.assert_close(first, second)

    def _needs(self, name: str) -> None:
        if name not in self.differentiable:
            pytest.skip(f"this renderer does not claim to be differentiable in {name}")

    def _smooth_scene(self, device: str, anisotropic: bool) -> dict:
        """For Gaussians any; a mesh must have no outline in the picture, where coverage jumps."""
        if self.primitive == "mesh":
            if anisotropic:
                pytest.skip("for gaussians only: a mesh has no precision")
            return inputs_of(*filled_picture(self.finest(device), device, self.primitive))
        return inputs_of(*self.scene(device, batch=1, count=8, channels=2, anisotropic=anisotropic))

    def _check(self, loss, inputs: dict, name: str) -> None:
        """The derivative along a random direction, against a central difference."""
        value = inputs[name].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss({**inputs, name: value}), value)
        step = noise(value, 3)
        if value.dim() == 4 and value.shape[-2:] == (3, 3):
            step = (step + step.mT) / 2  # only symmetric matrices are precisions
        fine = value.dtype == torch.float64
        length = 1e-6 if fine else 2e-3
        with torch.no_grad():
            ahead, behind = (loss({**inputs, name: value + s * length * step}) for s in (1, -1))
        numeric = (ahead - behind) / (2 * length)
        assert gradient.abs().max() > 0, f"the gradient of {name} is zero"
        rtol, atol = (1e-4, 1e-7) if fine else (5e-2, 2e-3)  # a rim's jump by the threshold shows at this step
        torch.testing.assert_close((gradient * step).sum(), numeric, rtol=rtol, atol=atol + self.approximate)
