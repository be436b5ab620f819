"""The likelihood against the published values, by gradcheck, and in what it must prefer."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nbf_core.errors import ShapeError
from nbf_core.types import Fragments
from nbf_fitters.config import LikelihoodConfig
from nbf_fitters.likelihood import FeatureLikelihood

GOLDEN = Path(__file__).parent / "golden"


def one_kernel_a_pixel(height: int, width: int) -> Fragments:
    """Fragments of one person in which pixel i sees kernel i with weight 1: the bank itself is rendered."""
    pixels = torch.arange(height * width)
    one = torch.ones(height * width, 1, dtype=torch.float64)
    return Fragments(pixels, pixels[:, None], one, one, torch.zeros_like(pixels), one[:, 0] * 0, (1, height, width))


@pytest.mark.parametrize("name", ["lik_n3_noocc", "lik_n3_occ"])
def test_published_forms_equal_the_published_values(name):
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
        data = {key: torch.from_numpy(file[key]) for key in file.files if file[key].dtype.kind in "fiu"}
    weight = {"lik_n3_noocc": 1.0, "lik_n3_occ": 1.5}[name]
    form = "simple" if name.endswith("noocc") else "soft"
    people, height, width = data["in__mask"].shape
    projected = data["in__projected_map"].clone().requires_grad_()
    losses, occluded = [], []
    for i in range(people):
        # [o c, h, w] to one kernel a pixel, [h w, o, c]
        bank = projected[i].unflatten(0, (3, -1)).flatten(2).permute(2, 0, 1)
        likelihood = FeatureLikelihood(
            LikelihoodConfig(form=form),
            data["in__predicted_map_raw"][i : i + 1],
            bank,
            data["in__clutter_bank"],
        )
        fragments = one_kernel_a_pixel(height, width)
        # The published inputs are softmaxed already; the logarithm undoes that.
        orientation = data["in__pixel_orient_weights"][i].flatten(1).T.log()[None]
        losses.append(likelihood(fragments, data["in__mask"][i : i + 1], orientation)[0])
        body, clutter = likelihood.scores(fragments, orientation)
        torch.testing.assert_close(clutter.view(height, width), data["out__clutter_scores"][i])
        occluded.append((clutter > body).view(height, width))
    losses = weight * torch.stack(losses)
    torch.testing.assert_close(losses, data["out__loss"], atol=1e-8, rtol=1e-8)
    inside = data["in__mask"] > 0
    assert (torch.stack(occluded) == data["out__occlusion_mask"].bool())[inside].all()
    (losses * torch.arange(1, people + 1)).sum().backward()
    torch.testing.assert_close(projected.grad, data["out__grad_projected_map_of_sum_k_loss_k"], atol=1e-9, rtol=1e-6)


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
