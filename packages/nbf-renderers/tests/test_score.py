"""The score without features: equal to comparing rendered ones, and to rounding so."""

import pytest
import torch
from torch.nn.functional import normalize

from nbf_core.types import Kernels, Similarities
from nbf_renderers import GaussianConfig, GaussianRenderer
from nbf_testing.scenes import body


def scene(dtype):
    """A person at 40 m, 3 orientation bins of 128 features."""
    draw = torch.Generator().manual_seed(1)
    kernels, camera = body(40.0, count=300, size=40)
    count = kernels.means.shape[1]
    image = normalize(torch.randn(1, 40, 40, 128, generator=draw, dtype=torch.float64), dim=-1)
    bank = normalize(torch.randn(count, 3, 128, generator=draw, dtype=torch.float64), dim=-1)
    orientation = torch.rand(1, count, 3, generator=draw, dtype=torch.float64)
    return kernels.to(dtype=dtype), camera.to(dtype=dtype), orientation.to(dtype), image.to(dtype), bank.to(dtype)


def by_features(renderer, kernels, camera, orientation, image, bank):
    table = torch.cat([bank.flatten(1)[None], orientation], -1)
    drawn, shares = renderer.render(kernels, camera, table).attributes.split([bank[0].numel(), 3], -1)
    agreement = (normalize(drawn.unflatten(-1, bank.shape[1:]), dim=-1) * image[..., None, :]).sum(-1)
    return (shares.softmax(-1) * agreement).sum(-1)


def by_similarities(renderer, kernels, camera, orientation, image, bank):
    return renderer.score(kernels, camera, orientation, Similarities.of(image, bank)).score


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_score_equals_the_feature_path_to_rounding(dtype, limit):
    kernels, camera, orientation, image, bank = scene(dtype)
    renderer = GaussianRenderer(GaussianConfig())
    found = []
    for way in (by_similarities, by_features):
        means = kernels.means.clone().requires_grad_()
        weights = orientation.clone().requires_grad_()
        score = way(renderer, Kernels(means, kernels.precision), camera, weights, image, bank)
        loss = 1 - score.mean()
        found.append((score.detach(), *torch.autograd.grad(loss, [means, weights])))
    for name, similar, featured in zip(("score", "means", "orientation"), *found, strict=True):
        assert featured.any()
        error = (similar - featured).abs().max() / featured.abs().max()
        print(f"{name}: off by {error:.1e} of the largest")
        assert error < limit, name


def test_score_in_float32_is_that_of_float64():
    scores = [by_similarities(GaussianRenderer(), *scene(dtype)) for dtype in (torch.float32, torch.float64)]
    # inputs are rounded too: to 2 micrometres at 40 m
    assert (scores[0].double() - scores[1]).abs().max() < 1e-2
    assert (scores[0].double() - scores[1]).abs().mean() < 1e-4
