"""Four views find out which of them erred."""

from __future__ import annotations

import pytest
import torch

from nbf_core.conventions import OPENPOSE_25, mirror_permutation
from nbf_core.types import Camera, View
from nbf_data_pose2sim.consensus import GROUPS, agree, group_members


@pytest.fixture
def scene(people):
    """The real rig, and one moment's points projected into it without an error."""
    known = people.sequence
    camera = Camera(torch.from_numpy(known.focal), torch.from_numpy(known.center), (0, 0))
    rotation, translation = torch.from_numpy(known.rotation), torch.from_numpy(known.translation)
    view = View(rotation, translation, torch.zeros(4).long(), torch.arange(4))
    world = torch.from_numpy(known.world[1]).double()
    exact = camera.project(view.to_camera(world[None, :, :3].expand(4, -1, -1)))
    noise = 4 * torch.randn(exact.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sure = 0.9 * (world[:, 3] > 0).double()
    return camera, view, world, torch.cat([exact + noise, sure.expand(4, -1)[..., None]], -1)


def test_good_views_agree(scene):
    camera, view, world, detected = scene
    found = agree(detected, camera, view)
    assert not found.swapped.any()
    torch.testing.assert_close(found.keypoints, detected)
    known = world[:, 3] > 0
    assert ((found.world[:, 3] > 0) == known).all()
    assert (found.world[known, :3] - world[known, :3]).norm(dim=-1).max() < 0.03


@pytest.mark.parametrize("view_number", [0, 2])
@pytest.mark.parametrize("groups", [("arms",), ("legs",), ("arms", "legs")])
def test_swapped_sides_are_set_right(scene, view_number, groups):
    camera, view, _, detected = scene
    wrong = detected.clone()
    for group in groups:
        members = group_members(group)
        wrong[view_number, members] = detected[view_number, list(mirror_permutation(OPENPOSE_25))][members]
    found = agree(wrong, camera, view)
    expected = torch.zeros(4, len(GROUPS), dtype=torch.bool)
    expected[view_number, [GROUPS.index(group) for group in groups]] = True
    assert (found.swapped == expected).all()
    torch.testing.assert_close(found.keypoints, detected)


def test_an_outlier_does_not_count_and_does_not_move_the_point(scene):
    camera, view, world, detected = scene
    wrist = OPENPOSE_25.index("right_wrist")
    wrong = detected.clone()
    wrong[3, wrist, :2] += 150
    found = agree(wrong, camera, view)
    assert found.keypoints[3, wrist, 2] == 0 and (found.keypoints[:3, wrist, 2] > 0).all()
    assert (found.world[wrist, :3] - world[wrist, :3]).norm() < 0.05


def test_what_fewer_than_three_views_see_is_not_known(scene):
    camera, view, _, detected = scene
    ankle = OPENPOSE_25.index("left_ankle")
    blind = detected.clone()
    blind[:2, ankle, 2] = 0.1
    found = agree(blind, camera, view)
    assert found.world[ankle, 3] == 0 and (found.keypoints[:, ankle, 2] == 0).all()
