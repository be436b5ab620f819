"""The optional capability of :class:`nbf_core.contracts.ScoringRenderer`: comparing without drawing features."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from nbf_core.contracts import ScoringRenderer
from nbf_core.errors import ShapeError
from nbf_core.types import Similarities
from nbf_testing.renderers._base import INPUTS, Claims, inputs_of, noise, scene_of

_CHANNELS = 12


class ScoreTests(Claims):
    """``score`` equals rendering features and orientation weights and comparing them."""

    @pytest.mark.parametrize("bins", [1, 3])
    @pytest.mark.parametrize("max_kernels", [None, 1, 4])
    def test_score_equals_comparing_drawn_features(self, renderer, device, dtype, bins, max_kernels):
        if dtype == torch.float64 and device == "mps":
            pytest.skip("mps has no float64")
        self._needs_score(renderer)
        scene = self.scene(device, dtype, channels=bins)
        features, bank = _features(scene, bins)
        scored = renderer.score(*scene, Similarities.of(features, bank), max_kernels=max_kernels)
        plain, drawn = plain_score(renderer, scene, features, bank, max_kernels)
        assert scored.score.dtype == dtype and scored.score.device == features.device
        limit = 1e-9 if dtype == torch.float64 else 1e-4
        torch.testing.assert_close(scored.score, plain, rtol=0, atol=limit + self.approximate)
        torch.testing.assert_close(scored.silhouette, drawn.silhouette, rtol=0, atol=limit + self.approximate)
        assert torch.equal(scored.fragments.pixel, drawn.fragments.pixel)
        assert torch.equal(scored.fragments.kernel, drawn.fragments.kernel)
        assert torch.equal(scored.fragments.truncated, drawn.fragments.truncated)
        torch.testing.assert_close(scored.fragments.weight, drawn.fragments.weight)
        torch.testing.assert_close(scored.fragments.lost, drawn.fragments.lost)

    def test_score_is_a_cosine_and_zero_where_nothing_is_seen(self, renderer, device):
        self._needs_score(renderer)
        scene = self.scene(device)
        features, bank = _features(scene, 3)
        output = renderer.score(*scene, Similarities.of(features, bank))
        assert output.score.shape == (2, *scene[1].size)
        assert output.score.abs().max() <= 1 + 1e-5 and output.score.any()
        unseen = torch.ones(output.score.numel(), dtype=torch.bool, device=device)
        unseen[output.fragments.pixel] = False
        assert not output.score.flatten()[unseen].any()

    @pytest.mark.parametrize("name", [*INPUTS[:4], "orientation"])
    @pytest.mark.parametrize("anisotropic", [False, True], ids=["isotropic", "anisotropic"])
    def test_score_gradients_equal_those_of_drawn_features(self, renderer, device, name, anisotropic):
        self._needs_score(renderer)
        key = "attributes" if name == "orientation" else name
        if key not in self.differentiable:
            pytest.skip(f"this renderer does not claim to be differentiable in {name}")
        scene = self.scene(device, anisotropic=anisotropic)
        features, bank = _features(scene, 3)
        similarities = Similarities.of(features, bank)
        found = []
        for way in ("score", "plain"):
            inputs = inputs_of(*scene)
            leaf = inputs[key] = inputs[key].clone().requires_grad_()
            moved = scene_of(inputs)
            if way == "score":
                score = renderer.score(*moved, similarities).score
            else:
                score = plain_score(renderer, moved, features, bank)[0]
            gradient = torch.autograd.grad((score * noise(score, 8)).sum(), leaf)[0]
            found.append(gradient + gradient.mT if gradient.dim() == 4 else gradient)
        scored, plain = found
        assert plain.any()
        scale = float(plain.abs().max())
        limit = 1e-8 if plain.dtype == torch.float64 else 2e-3
        torch.testing.assert_close(scored, plain, rtol=0, atol=limit * scale + self.approximate)

    def test_silhouette_and_weights_of_a_score_carry_gradients(self, renderer, device):
        self._needs_score(renderer)
        if "means" not in self.differentiable or not self.differentiable_silhouette:
            pytest.skip("this renderer does not claim a silhouette differentiable in means")
        kernels, camera, attributes = self.scene(device)
        features, bank = _features((kernels, camera, attributes), 3)
        inputs = inputs_of(kernels, camera, attributes)
        found = []
        for way in ("score", "render"):
            means = inputs["means"] = kernels.means.clone().requires_grad_()
            moved = scene_of(inputs)
            if way == "score":
                output = renderer.score(*moved, Similarities.of(features, bank))
            else:
                output = renderer.render(*moved)
            weight = output.fragments.weight
            loss = (output.silhouette * noise(output.silhouette, 1)).sum() + (weight * noise(weight, 2)).sum()
            found.append(torch.autograd.grad(loss, means)[0])
        torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)

    def test_similarities_get_no_gradient(self, renderer, device):
        self._needs_score(renderer)
        scene = self.scene(device)
        similarities = Similarities.of(*_features(scene, 3)).map(Tensor.requires_grad_)
        output = renderer.score(*scene, similarities)
        assert not output.score.requires_grad

    def test_scoring_an_empty_picture_is_no_error(self, renderer, device):
        self._needs_score(renderer)
        scene = self.scene(device)
        inputs = inputs_of(*scene)
        aside = inputs["means"] = (inputs["means"] + 1000.0).requires_grad_()
        features, bank = _features(scene, 3)
        output = renderer.score(*scene_of(inputs), Similarities.of(features, bank))
        assert not output.score.any() and not output.silhouette.any()
        if "means" in self.differentiable:
            output.score.sum().backward()
            assert not aside.grad.any()

    @pytest.mark.parametrize("name", ["orientation", "table", "gram"])
    @pytest.mark.wrong_shapes
    def test_wrong_shapes_are_not_scored(self, renderer, device, name):
        self._needs_score(renderer)
        kernels, camera, orientation = self.scene(device)
        similarities = Similarities.of(*_features((kernels, camera, orientation), 3))
        table, gram = similarities.table, similarities.gram
        if name == "orientation":
            orientation = orientation[:, :-1]
        elif name == "table":
            table = table.transpose(1, 2)
        else:
            gram = gram[:-1]
        with pytest.raises(ShapeError, match=name):
            renderer.score(kernels, camera, orientation, Similarities(table, gram))

    def _needs_score(self, renderer) -> None:
        if not isinstance(renderer, ScoringRenderer):
            pytest.skip("this renderer does not offer the optional score")


def plain_score(renderer, scene, features: Tensor, bank: Tensor, max_kernels: int | None = None):
    """The score by drawing: normalise each bin's feature, weigh the bins by their softmaxed orientation weight."""
    kernels, camera, orientation = scene
    batch, bins = len(orientation), orientation.shape[-1]
    table = torch.cat([bank.flatten(1).expand(batch, -1, -1), orientation], -1)
    output = renderer.render(kernels, camera, table, max_kernels=max_kernels)
    drawn = output.attributes[..., :-bins].unflatten(-1, bank.shape[1:])
    agreement = (normalize(drawn, dim=-1) * features[..., None, :]).sum(-1)
    return (output.attributes[..., -bins:].softmax(-1) * agreement).sum(-1), output


def _features(scene, bins: int) -> tuple[Tensor, Tensor]:
    """Unit features ``[b, h, w, c]`` of an image and ``[k, bins, c]`` of a bank."""
    kernels, camera, _ = scene
    batch, count, _ = kernels.means.shape
    image = noise(kernels.means.new_zeros(batch, *camera.size, _CHANNELS), 11)
    bank = noise(kernels.means.new_zeros(count, bins, _CHANNELS), 12)
    return normalize(image, dim=-1), normalize(bank, dim=-1)
