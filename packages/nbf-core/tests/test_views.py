"""Views carry points to the world and back; triangulation undoes projection."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbf_core.geometry.triangulation import triangulate
from nbf_core.types import Camera, Sample, View, collate


def rig(seed, views=4):
    """Cameras in the corners of a tetrahedron, three to four metres away, looking at points around its middle."""
    random = torch.Generator().manual_seed(seed)
    # Well spread, so that no point lies near the line between two cameras, where nothing fixes it.
    corners = torch.tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64)[:views]
    away = corners + 0.1 * torch.randn(views, 3, generator=random, dtype=torch.float64)
    away = away / away.norm(dim=-1, keepdim=True) * (3 + torch.rand(views, 1, generator=random, dtype=torch.float64))
    forward = -away / away.norm(dim=-1, keepdim=True)
    side = torch.linalg.cross(forward, torch.randn(views, 3, generator=random, dtype=torch.float64))
    side = side / side.norm(dim=-1, keepdim=True)
    rotation = torch.stack([side, torch.linalg.cross(forward, side), forward], dim=1)
    view = View(
        rotation=rotation, translation=-(rotation @ away[..., None])[..., 0],
        moment=torch.zeros(views, dtype=torch.long), number=torch.arange(views),
    )  # fmt: skip
    camera = Camera.from_field((480, 640), 700.0, views, dtype=torch.float64)
    points = torch.rand(7, 3, generator=random, dtype=torch.float64) - 0.5
    return camera, view, points


def seen(camera, view, points):
    return camera.project(view.to_camera(points.expand(len(view.moment), *points.shape)))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999))
def test_points_come_back_from_the_cameras(seed):
    camera, view, points = rig(seed)
    there = points.expand(4, 7, 3)
    torch.testing.assert_close(view.to_world(view.to_camera(there)), there)
    torch.testing.assert_close(torch.linalg.det(view.rotation), torch.ones(4, dtype=torch.float64))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999))
def test_triangulation_undoes_projection(seed):
    camera, view, points = rig(seed)
    pixels = seen(camera, view, points)
    weights = torch.ones(4, 7, dtype=torch.float64)
    weights[0, :3], weights[3, 2:] = 0, 0  # two or three views are enough
    pixels[0, :3] += 50  # what has no weight does not matter
    torch.testing.assert_close(triangulate(pixels, weights, camera, view), points, atol=1e-6, rtol=1e-6)


def test_a_nearer_camera_does_not_count_for_more():
    # Errors of a pixel at twice the distance are twice as long: the solution minimises pixels, not metres.
    camera, view, points = rig(5)
    noisy = seen(camera, view, points)
    noisy = noisy + torch.randn(noisy.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    solved = triangulate(noisy, torch.ones(4, 7, dtype=torch.float64), camera, view)
    best = (seen(camera, view, solved) - noisy).square().sum()
    for i in range(3):
        moved = solved.clone()
        moved[:, i] += 2e-3
        assert (seen(camera, view, moved) - noisy).square().sum() > best


def test_a_point_that_one_view_sees_is_not_known():
    camera, view, points = rig(1)
    weights = torch.ones(4, 7, dtype=torch.float64)
    weights[1:, 4] = 0
    solved = triangulate(seen(camera, view, points), weights, camera, view)
    assert solved[4].isnan().all() and solved[[0, 1, 2, 3, 5, 6]].isfinite().all()


def test_any_batch_of_points():
    camera, view, points = rig(2)
    cloud = points.reshape(1, 7, 3).repeat(5, 1, 1) + torch.arange(5.0)[:, None, None] / 10
    pixels = seen(camera, view, cloud.reshape(-1, 3)).reshape(4, 5, 7, 2)
    solved = triangulate(pixels, torch.ones(4, 5, 7, dtype=torch.float64), camera, view)
    torch.testing.assert_close(solved, cloud, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("known", [True, False])
def test_samples_with_views_collate_into_a_batch(known):
    _, view, _ = rig(3)
    view = view if not known else View(view.rotation, view.translation, view.moment, view.number, torch.ones(4, 25, 4))
    samples = [
        Sample(torch.zeros(3, 8, 8, dtype=torch.uint8), Camera.from_field((8, 8), 10.0), torch.tensor(i), view=view[i])
        for i in range(4)
    ]
    batch = collate(samples)
    assert batch.view.rotation.shape == (4, 3, 3) and batch.view.number.tolist() == [0, 1, 2, 3]
    assert (batch.view.keypoints is not None) == known
    assert "view" not in batch.lacks
