"""The likelihood against the published values, by gradcheck, and in what it must prefer."""

from pathlib import Path

import pytest
import torch

from nbf_core.errors import ShapeError
from nbf_core.types import Fragments
from nbf_fitters.config import LikelihoodConfig
from nbf_fitters.likelihood import FeatureLikelihood
from nbf_testing.golden import cases

HERE = Path(__file__).parent / "golden"


def one_kernel_a_pixel(height: int, width: int) -> Fragments:
    """Fragments of one person in which pixel i sees kernel i with weight 1: the bank itself is rendered."""
    pixels = torch.arange(height * width)
    one = torch.ones(height * width, 1, dtype=torch.float64)
    return Fragments(pixels, pixels[:, None], one, one, torch.zeros_like(pixels), one[:, 0] * 0, (1, height, width))


@pytest.mark.parametrize("case", cases("likelihood", HERE), ids=str)
def test_published_forms_equal_the_published_values(case):
    """Loss, its gradient, clutter scores and occlusion.

    With one orientation bin the published code forgets an axis: it takes the mean over rows only, and returns a
    loss for each column of a single person's map. There, each column is compared as a map of its own.
    """
    bins = case.params["n_orient"]
    maps, weights = case.tensor("predicted_map_raw"), case.tensor("pixel_orient_weights")
    mask, projected = case.tensor("mask"), case.tensor("projected_map")
    if columns := bins == 1:
        assert len(maps) == 1, "with several people the published result mixes them up"
        maps, weights, projected = (x.permute(3, 1, 2, 0) for x in (maps, weights, projected))
        mask = mask.permute(2, 1, 0)
    people, height, width = mask.shape
    projected = projected.clone().requires_grad_()
    losses, occluded, scores = [], [], []
    for i in range(people):
        # [o c, h, w] to one kernel a pixel, [h w, o, c]
        bank = projected[i].unflatten(0, (bins, -1)).flatten(2).permute(2, 0, 1)
        config = LikelihoodConfig(form="simple" if case.params["disable_occ"] else "soft")
        likelihood = FeatureLikelihood(config, maps[i : i + 1], bank, case.tensor("clutter_bank"))
        fragments = one_kernel_a_pixel(height, width)
        # The published inputs are softmaxed already; the logarithm undoes that.
        orientation = weights[i].flatten(1).T.log()[None]
        losses.append(likelihood(fragments, mask[i : i + 1], orientation)[0])
        body, clutter = likelihood.scores(fragments, orientation)
        scores.append(clutter.view(height, width))
        occluded.append((clutter > body).view(height, width))
    losses = case.params.get("w", 1.0) * torch.stack(losses)
    (losses * torch.arange(1, people + 1)).sum().backward()
    scores, occluded, gradient = torch.stack(scores), torch.stack(occluded), projected.grad
    if columns:
        gradient = gradient.permute(3, 1, 2, 0)
        losses, scores, occluded = losses[None], scores.permute(2, 1, 0), occluded.permute(2, 1, 0)[:, None]
    case.check("loss", losses)
    case.check("loss_sum", losses.sum())
    case.check("grad_projected_map_of_sum_k_loss_k", gradient)
    case.check("clutter_scores", scores)
    inside = (case.tensor("mask") > 0).view(occluded.shape)
    assert (occluded == torch.from_numpy(case.outputs["occlusion_mask"]).bool())[inside].all()


def scene(generator, people=2, size=3, kernels=5, orientations=3, channels=6):
    def noise(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    pixel = torch.tensor([1, 2, 4, 10, 12, 17])
    kernel = torch.tensor([[0, 1, 2], [3, -1, -1], [1, 4, -1], [2, 0, 3], [4, -1, -1], [0, 3, 4]])
    weight = torch.rand(kernel.shape, generator=generator, dtype=torch.float64) * 0.3 * (kernel >= 0)
    orientation = torch.softmax(noise(people, kernels, orientations), -1)
    maps, bank = noise(people, channels, size, size), noise(kernels, orientations, channels)
    return pixel, kernel, weight, orientation, maps, bank, noise(2, channels)


@pytest.mark.parametrize("form", ["mixture", "soft", "simple"])
def test_gradients_and_formula(form):
    pixel, kernel, weight, orientation, maps, bank, clutter = scene(torch.Generator().manual_seed(0))
    config = LikelihoodConfig(form=form, temperature=0.5)
    likelihood = FeatureLikelihood(config, maps, bank, clutter)

    def loss(weight, orientation):
        weight = weight * (kernel >= 0)
        fragments = Fragments(pixel, kernel, weight, weight, torch.zeros_like(pixel), weight[:, 0] * 0, (2, 3, 3))
        silhouette = torch.zeros(18, dtype=weight.dtype).index_copy(0, pixel, weight.sum(-1))
        return likelihood(fragments, silhouette.view(2, 3, 3), orientation)

    assert torch.autograd.gradcheck(loss, (weight.clone().requires_grad_(), orientation.requires_grad_()))
    if form != "mixture":
        return
    # The formula again, dense and slow.
    unit = torch.nn.functional.normalize
    f, bank, clutter = unit(maps, dim=1), unit(bank, dim=-1), unit(clutter, dim=-1)
    for person in range(2):
        total = 0.0
        for p in range(9):
            feature = f[person].flatten(1)[:, p]
            c = (clutter @ feature).max()
            inner = torch.tensor(1 + config.eps, dtype=torch.float64)
            for row in (pixel == person * 9 + p).nonzero()[:, 0]:
                for k, w in zip(kernel[row], weight[row], strict=True):
                    if k >= 0:
                        gain = torch.exp((bank[k] @ feature - c) / config.temperature)
                        inner = inner + w * (orientation[person, k] * gain).sum() - w
            total = total - (c + config.temperature * inner.log()) / 9
        torch.testing.assert_close(loss(weight, orientation)[person].detach(), total.detach())


@pytest.mark.wrong_shapes
def test_different_channels_are_named():
    with pytest.raises(ShapeError, match="features 4, bank 5, clutter 4"):
        FeatureLikelihood(LikelihoodConfig(), torch.ones(1, 4, 2, 2), torch.ones(3, 1, 5), torch.ones(1, 4))
