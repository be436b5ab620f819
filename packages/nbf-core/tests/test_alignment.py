"""Similarity alignment undoes any similarity."""

import pytest
import roma
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbf_core.geometry.alignment import similarity_align


def cloud(seed, b=2, n=24):
    return torch.randn(b, n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.floats(0.1, 10), st.floats(-5, 5))
def test_a_moved_turned_and_scaled_copy_comes_back(seed, scale, shift):
    target = cloud(seed)
    turn = roma.rotvec_to_rotmat(cloud(seed + 1, 2, 1)[:, 0])
    source = scale * target @ turn.mT + shift
    torch.testing.assert_close(similarity_align(source, target), target, atol=1e-8, rtol=1e-8)


def test_a_mirror_image_is_not_undone():
    target = cloud(3)
    mirrored = target * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    assert (similarity_align(mirrored, target) - target).norm(dim=-1).mean() > 0.1


def test_no_similarity_comes_nearer_than_the_aligned_one():
    source, target = cloud(0), cloud(1)
    aligned = similarity_align(source, target)
    best = (aligned - target).square().sum()
    for change in (
        aligned * 1.01,
        aligned * 0.99,
        aligned + 0.01,
        aligned @ roma.rotvec_to_rotmat(cloud(2, 1, 1)[:, 0] / 50).mT,
    ):
        assert (change - target).square().sum() > best


def test_points_of_weight_zero_do_not_count():
    target = cloud(4)
    source = 2 * target + 1
    spoilt = source.clone()
    spoilt[:, :4] += 7
    weights = torch.ones(2, 24, dtype=torch.float64)
    weights[:, :4] = 0
    aligned = similarity_align(spoilt, target, weights)
    torch.testing.assert_close(aligned[:, 4:], target[:, 4:])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_is_kept(dtype):
    assert similarity_align(cloud(0).to(dtype), cloud(1).to(dtype)).dtype == dtype
