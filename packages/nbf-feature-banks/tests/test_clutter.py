"""Several clutter centres: found, repeatable, and better than fewer."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from nbf_feature_banks.clutter import spherical_kmeans
from nbf_feature_banks.config import NearestMemoryConfig
from nbf_feature_banks.nearest_memory import NearestMemoryBank

CHANNELS = 32


def heaps(sizes: list[int], noise: float = 0.08) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit features around random directions, shuffled; and the directions."""
    generator = torch.Generator().manual_seed(0)
    directions = F.normalize(torch.randn(len(sizes), CHANNELS, generator=generator), dim=-1)
    points = directions.repeat_interleave(torch.tensor(sizes), dim=0)
    points = points + noise * torch.randn(points.shape, generator=generator)
    return F.normalize(points[torch.randperm(len(points), generator=generator)], dim=-1), directions


@pytest.mark.parametrize("sizes", [[100, 100], [300, 40, 40, 20], [400, 300, 60, 50, 40, 30, 20, 10]])
def test_every_heap_gets_a_centre_the_largest_first(sizes):
    points, directions = heaps(sizes)
    centers = spherical_kmeans(points, len(sizes))
    torch.testing.assert_close(centers.norm(dim=-1), torch.ones(len(sizes)))
    match = (directions @ centers.mT).max(dim=1)
    assert (match.values > 0.95).all()
    assert sorted(match.indices.tolist()) == list(range(len(sizes)))
    assert match.indices[0] == 0 or sizes[0] == sizes[1]


def test_the_same_points_give_the_same_centres():
    points, _ = heaps([50, 30, 20], noise=0.5)
    first = spherical_kmeans(points, 5, seed=1)
    torch.manual_seed(7)
    assert torch.equal(first, spherical_kmeans(points, 5, seed=1))


def test_more_centres_serve_better():
    points, _ = heaps([60] * 12, noise=0.3)
    served = [float((points @ spherical_kmeans(points, m).mT).amax(1).mean()) for m in (1, 2, 4, 8, 16)]
    assert served == sorted(served) and served[-1] > served[0] + 0.2


def test_fewer_different_points_than_centres():
    points = torch.eye(CHANNELS)[:2].repeat_interleave(5, dim=0)
    centers = spherical_kmeans(points, 6)
    torch.testing.assert_close((points @ centers.mT).amax(1), torch.ones(10))
    torch.testing.assert_close(centers.norm(dim=-1), torch.ones(6))


def test_the_bank_gives_the_mean_or_several_centres(spec):
    bank = NearestMemoryBank(NearestMemoryConfig(num_noise=4, max_group=50), spec=spec, channels=CHANNELS)
    points, directions = heaps([120, 80])
    bank.background.copy_(points)
    torch.testing.assert_close(bank.clutter(), F.normalize(points.mean(0, keepdim=True), dim=-1))
    assert ((bank.clutter(2) * directions).sum(-1) > 0.95).all()
    for wrong in (0, 201):
        with pytest.raises(ValueError, match="expected 1 to 200"):
            bank.clutter(wrong)
