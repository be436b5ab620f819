"""The four-camera sequence: samples that agree with one another, and with what they say of themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nbf_core.config.pipeline import check
from nbf_core.contracts import Dataset
from nbf_core.conventions import OPENPOSE_25
from nbf_core.errors import AssetError, ConfigError
from nbf_core.geometry.triangulation import triangulate
from nbf_core.plugins import get_plugin_manager
from nbf_core.types import collate
from nbf_data_pose2sim.config import Pose2SimConfig
from nbf_data_pose2sim.dataset import FourCameras, Sequence, data_folder

NECK, HIPS = OPENPOSE_25.index("neck"), OPENPOSE_25.index("mid_hip")


def test_it_is_known_by_name(people):
    entry = get_plugin_manager().get("datasets", "pose2sim")
    assert entry.load() is FourCameras and isinstance(people, Dataset)


def test_every_moment_comes_in_four_views(people):
    assert len(people) == 100
    views = [people[index].view for index in (0, 1, 2, 3, 4)]
    assert [int(view.moment) for view in views] == [0, 0, 0, 0, 1]
    assert [int(view.number) for view in views] == [1, 2, 3, 4, 1]
    assert people.describe(37) == "frame 36 of camera 2"
    with pytest.raises(IndexError):
        people[100]


def test_samples_say_what_they_lack_and_collate(people):
    batch = collate([people[0], people[1]])
    assert batch.image.shape == (2, 3, 448, 448) and batch.image.dtype == torch.uint8
    assert batch.lacks == ("params", "visible_joints", "kernel_map", "part_map")
    assert batch.detected_3d.shape == (2, 25, 4) and batch.view.rotation.shape == (2, 3, 3)


def test_the_same_index_gives_the_same_sample(people):
    first, second = people[42], FourCameras()[42]
    assert torch.equal(first.image, second.image) and torch.equal(first.keypoints, second.keypoints)


def test_keypoints_lie_on_the_projected_world(people):
    """The whole chain: calibration, crop, units. In centimetres at the person's distance."""
    misses = []
    for index in range(0, 100, 3):
        sample = people[index]
        world = sample.view.keypoints
        local = sample.view.to_camera(world[:, :3])
        known = (world[:, 3] > 0) & (sample.keypoints[:, 2] > 0)
        miss = (
            (sample.camera.project(local) - sample.keypoints[:, :2]).norm(dim=-1) * local[:, 2] / sample.camera.focal[0]
        )
        misses.append(100 * miss[known])
        assert known.sum() >= 10 and miss[known].max() < 0.16
    assert torch.cat(misses).median() < 4


def test_each_view_is_foreseen_by_the_others(people):
    rows = collate([people[index] for index in range(40, 44)]).to(dtype=torch.float64)
    weights = rows.keypoints[..., 2].clone()
    weights[2] = 0
    world = triangulate(rows.keypoints[..., :2], weights, rows.camera, rows.view)
    seen = rows.camera[2].project(rows.view[2].to_camera(world))
    miss = (seen - rows.keypoints[2, :, :2]).norm(dim=-1)[rows.keypoints[2, :, 2] > 0]
    assert miss.nanmedian() < 15  # of 448 pixels


def test_the_person_keeps_their_size_and_stands_on_the_ground(people):
    world = torch.stack([people[index].view.keypoints for index in range(0, 100, 4)])
    trunk = (world[:, NECK, :3] - world[:, HIPS, :3]).norm(dim=-1)
    assert 0.45 < trunk.mean() < 0.6 and trunk.std() < 0.015
    feet = [OPENPOSE_25.index(f"{side}_heel") for side in ("left", "right")]
    lowest = torch.where(world[:, feet, 3] > 0, world[:, feet, 2], torch.inf).amin()
    assert -0.2 < lowest < 0.3  # z is up


def test_swapped_sides_are_kept_as_detected_and_set_right_as_truth(people):
    sequence = people.sequence
    assert sequence.swapped.all(2).sum() == 6 and not sequence.swapped[:, [0, 2, 3]].any()
    sample = people[37]  # one of the six
    left, right = (OPENPOSE_25.index(f"{side}_shoulder") for side in ("left", "right"))
    torch.testing.assert_close(sample.detected[left, :2], sample.keypoints[right, :2])
    assert sample.detected[left, 2] > 0.5


def test_crop_and_camera_follow_the_configuration():
    small = FourCameras(Pose2SimConfig(image_size=64, every=5, cameras=(3, 1), room=1.0))
    assert len(small) == 10
    sample, whole = small[2], FourCameras()[22]  # moment 5 of camera 3
    assert (int(sample.view.moment), int(sample.view.number)) == (5, 3) and sample.image.shape == (3, 64, 64)
    # The crop covers the detector's box; focal length over crop size says how far it zooms.
    ratio = (sample.camera.focal / 64) / (whole.camera.focal / 448)
    torch.testing.assert_close(ratio, torch.full((2,), 1.15), atol=1e-4, rtol=1e-4)
    both = sample.camera.project(sample.view.to_camera(sample.view.keypoints[:, :3]))
    shown = sample.view.keypoints[:, 3] > 0
    assert ((both > 0) & (both < 64)).all(1)[shown].all()


def test_the_picture_shows_what_the_crop_says(people):
    """A larger crop, cut down to the smaller one, is the same picture."""
    narrow = FourCameras(Pose2SimConfig(image_size=200, room=1.0))[3].image.float()
    wide = FourCameras(Pose2SimConfig(image_size=240, room=1.2))[3].image.float()[:, 20:220, 20:220]
    assert (narrow - wide).abs().mean() < 6


@pytest.mark.parametrize("value", [(1, 1), (0,), (5,)])
def test_cameras_are_one_to_four(value):
    with pytest.raises(ConfigError, match="data.cameras"):
        check(Pose2SimConfig, {"cameras": value}, "data", "somewhere")


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "sequence.npz"
    np.savez(path, frames=np.zeros(3))
    with pytest.raises(AssetError, match="sequence.npz"):
        Sequence.read(path)


def test_the_package_is_small_and_carries_licence_and_credit():
    files = [path for path in data_folder().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 5e6
    credits = (data_folder() / "CREDITS.md").read_text(encoding="utf-8")
    assert "BSD 3-Clause" in credits and "@aaiaueil" in credits and "Gustave Eiffel" in credits
