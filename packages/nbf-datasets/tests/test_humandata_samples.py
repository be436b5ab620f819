"""Samples of HumanData: labels stay on the picture, and depend on seed, epoch and number alone."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from humandata_world import COUNT, RigidBody, people, published, tree
from PIL import Image
from torch.utils.data import DataLoader

from nbf_core.contracts import Dataset, FileReport, ReadsFiles
from nbf_core.errors import AssetError, ConfigError, InputError
from nbf_core.types import collate
from nbf_datasets.humandata.augment import Augmentation
from nbf_datasets.humandata.config import HumanDataConfig
from nbf_datasets.humandata.data import make
from nbf_datasets.humandata.dataset import HumanDataset
from nbf_datasets.humandata.placing import translation
from nbf_datasets.humandata.writing import write_humandata

SIZE = 96
AUGMENTED = {"augment": True, "background_textures": True, "occluder_patches": True, "rotation": 40.0}


def dataset(path: Path, body=None, **options) -> HumanDataset:
    return HumanDataset(HumanDataConfig(path=path, image_size=SIZE, map_size=24, **options), body=body)


def projected(sample) -> torch.Tensor:
    """The body's 25 points as the sample's camera sees them."""
    output = RigidBody()(sample.params.map(lambda value: value[None]))
    return sample.camera.map(lambda value: value[None]).project(output.markers)[0]


def test_it_is_a_dataset_whose_files_can_be_looked_at(tmp_path):
    data = dataset(tree(tmp_path))
    assert isinstance(data, Dataset) and isinstance(HumanDataset, ReadsFiles)
    assert len(data) == COUNT and data.describe(3).endswith("tiny_train.npz: sample 3")


@pytest.mark.parametrize("options", [{}, AUGMENTED, {"augment": True, "flip": 1.0, "rotation": 0.0}])
def test_a_body_is_seen_where_its_keypoints_are(tmp_path, options):
    data = dataset(tree(tmp_path), RigidBody(), **options)
    for epoch in range(3):
        data.set_epoch(epoch)
        for index in range(COUNT):
            sample = data[index]
            shown = sample.keypoints[:, 2] > 0
            assert shown.sum() > 3
            assert (projected(sample) - sample.keypoints[:, :2])[shown].norm(dim=1).max() < 1e-2


def test_keypoints_lie_on_what_is_drawn_there(tmp_path):
    data = dataset(tree(tmp_path), augment=True, channel_noise=0.0, rotation=30.0, rotation_probability=1.0)
    for index in range(COUNT):
        sample = data[index]
        for number in range(25):
            x, y, sure = sample.keypoints[number].tolist()
            if sure > 0 and 2 < x < SIZE - 3 and 2 < y < SIZE - 3:
                assert sample.image[0, int(y), int(x)] > 140, (index, number)


def test_a_mirrored_sample_has_its_sides_exchanged(tmp_path):
    path = tree(tmp_path)
    still = {"augment": True, "channel_noise": 0.0, "rotation": 0.0, "scale": 0.0}
    plain, mirrored = dataset(path, flip=0.0, **still)[0], dataset(path, flip=1.0, **still)[0]
    assert (plain.image.flip(-1).int() - mirrored.image.int()).abs().max() <= 1
    right, left = 4, 7  # wrists
    torch.testing.assert_close(mirrored.keypoints[left, 0], SIZE - plain.keypoints[right, 0])
    torch.testing.assert_close(mirrored.joints[13, :3], plain.joints[16, :3] * torch.tensor([-1.0, 1, 1]))


def test_without_cameras_the_body_is_placed_by_its_keypoints(tmp_path):
    data = dataset(tree(tmp_path, with_camera=False), RigidBody(), focal=700.0)
    for index in range(COUNT):
        sample = data[index]
        assert sample.camera.focal.tolist() == [700.0, 700.0] and sample.camera.center.tolist() == [SIZE / 2] * 2
        error = (projected(sample) - sample.keypoints[:, :2]).norm(dim=1)
        assert error.mean() < 5 and sample.params.transl[2] > 1


def test_a_translation_is_found_exactly_where_there_is_one():
    rng = np.random.default_rng(0)
    points, true = rng.normal(size=(25, 3)), np.array([0.3, -0.2, 7.0])
    focal, center = np.array([500.0, 510.0]), np.array([60.0, 40.0])
    xy = focal * (points + true)[:, :2] / (points + true)[:, 2:] + center
    keypoints = np.concatenate([xy, np.ones((25, 1))], 1)
    np.testing.assert_allclose(translation(points, keypoints, focal, center), true, atol=1e-9)
    keypoints[3:, 2] = 0
    assert translation(points, keypoints, focal, center) is None
    keypoints[:, 2], keypoints[:, :2] = 1, center - (keypoints[:, :2] - center)
    assert translation(points, keypoints, focal, center) is None


def test_what_is_not_known_is_none(tmp_path):
    paths = ["a.png", "b.png"]
    for name in paths:
        Image.fromarray(np.full((40, 40, 3), 50, np.uint8)).save(tmp_path / name)
    path = write_humandata(make(paths, np.array([[0, 0, 40, 40.0]] * 2)), tmp_path / "bare.npz")
    sample = dataset(path, RigidBody())[1]
    assert sample.lacks == ("params", "keypoints", "detected", "visible_joints", "kernel_map", "part_map")
    assert sample.joints is None and sample.gender is None and not sample.occluded.any()


def test_a_patch_hides_keypoints_joints_and_cells(tmp_path):
    options = {"augment": True, "occluder_patches": True, "patch_probability": 1.0, "patch_size": 112.0}
    data, free = dataset(tree(tmp_path), **options), dataset(tree(tmp_path), augment=True)
    hidden = 0
    for index in range(COUNT):
        patched, plain = data[index], free[index]
        changed = (patched.image != plain.image).any(0).float()
        cells = torch.nn.functional.avg_pool2d(changed[None], SIZE // 24)[0] > 0.5
        assert (cells <= patched.occluded).float().mean() > 0.95 and patched.occluded.any()
        gone = (plain.keypoints[:, 2] > 0) & (patched.keypoints[:, 2] == 0)
        assert torch.equal(patched.keypoints[:, :2], plain.keypoints[:, :2])
        assert (patched.visible_joints <= plain.visible_joints).all()
        hidden += int(gone.sum())
    assert hidden > 10


def test_samples_depend_on_seed_epoch_and_number_alone(tmp_path):
    path = tree(tmp_path)

    def pictures(seed: int, epoch: int, order) -> dict[int, torch.Tensor]:
        data = dataset(path, seed=seed, **AUGMENTED)
        data.set_epoch(epoch)
        return {index: data[index].image for index in order}

    forward, backward = pictures(1, 2, range(COUNT)), pictures(1, 2, reversed(range(COUNT)))
    assert all(torch.equal(forward[i], backward[i]) for i in range(COUNT))
    for other in (pictures(1, 3, range(COUNT)), pictures(2, 2, range(COUNT))):
        assert not any(torch.equal(forward[i], other[i]) for i in range(COUNT))
    assert len({forward[i].numpy().tobytes() for i in range(COUNT)}) == COUNT


def test_workers_give_what_one_process_gives(tmp_path):
    data = dataset(tree(tmp_path), RigidBody(), **AUGMENTED)
    data.set_epoch(5)
    batches = [next(iter(DataLoader(data, COUNT, num_workers=n, collate_fn=collate))) for n in (0, 2)]
    for name in ("image", "keypoints", "joints", "visible_joints", "occluded"):
        assert torch.equal(getattr(batches[0], name), getattr(batches[1], name)), name
    assert torch.equal(batches[0].params.transl, batches[1].params.transl)


def test_textures_come_from_a_folder(tmp_path):
    textures = tmp_path / "dtd" / "images" / "blotchy"
    textures.mkdir(parents=True)
    Image.fromarray(np.full((30, 50, 3), (0, 255, 0), np.uint8)).save(textures / "green.png")
    options = {**AUGMENTED, "textures": tmp_path / "dtd", "scale": 0.0, "patch_probability": 1.0}
    data = dataset(tree(tmp_path), room=3.0, **options)
    image = data[0].image
    assert ((image[0] < 3) & (image[1] > 250)).float().mean() > 0.3
    with pytest.raises(AssetError, match="textures: .*nowhere: not a folder"):
        dataset(tree(tmp_path), textures=tmp_path / "nowhere")


def test_draws_keep_within_what_the_configuration_says(tmp_path):
    config = HumanDataConfig(path=tmp_path, augment=True, occluder_patches=True)
    drawn = [Augmentation(config).draw(0, index) for index in range(600)]
    degrees, scales = np.array([one.degrees for one in drawn]), np.array([one.scale for one in drawn])
    assert np.abs(degrees).max() <= 30 and abs((degrees == 0).mean() - 0.4) < 0.08
    assert scales.min() >= 0.75 and scales.max() <= 1.25 and scales.std() > 0.1
    assert abs(np.mean([one.flip for one in drawn]) - 0.5) < 0.08
    gains = np.stack([one.gain for one in drawn])
    assert gains.min() >= 0.6 and gains.max() <= 1.4 and abs(gains.mean() - 1) < 0.03
    assert abs(np.mean([one.occluder is not None for one in drawn]) - 0.5) < 0.08
    without = HumanDataConfig(path=tmp_path, augment=True)
    assert all(Augmentation(without).draw(0, i).degrees == drawn[i].degrees for i in range(20))


def test_files_of_mmhuman3d_give_the_same_samples(tmp_path):
    path = tree(tmp_path, with_camera=False)
    theirs = published(path.with_name("tiny_theirs.npz"), people(with_camera=False)[0], compressed=True)
    one, other = (dataset(file, RigidBody())[2] for file in (path, theirs))
    assert torch.equal(one.image, other.image) and torch.equal(one.keypoints, other.keypoints)
    assert torch.equal(one.params.transl, other.params.transl)


def test_detections_are_a_field_of_their_own(tmp_path):
    path = tree(tmp_path)
    assert dataset(path)[0].detected is None
    assert torch.equal(dataset(path, detected="keypoints2d")[0].detected, dataset(path)[0].keypoints)
    with pytest.raises(
        AssetError, match="tiny_train.npz: keypoints2d_op: this field is missing; keypoints in it: keyp"
    ):
        dataset(path, detected="keypoints2d_op")


def broken(tmp_path: Path) -> Path:
    """Sample 1: a box of no size; 2: NaN in a pose; 3: a keypoint that is nowhere; 4: its image is gone."""
    path = tree(tmp_path, with_camera=False)
    data, _ = people(with_camera=False)
    data.boxes[1, 2] = 0
    data.smpl["body_pose"][2, 4, 1] = np.nan
    data.keypoints["keypoints2d"].source.values[3, 7, 0] = np.inf
    write_humandata(data, path)
    (tmp_path / "data" / "datasets" / "tiny" / data.image_path[4]).unlink()
    return path


WRONG = {
    1: r"sample 1: bbox_xywh: \[.*, 0, .*\] is less than a pixel wide or high",
    2: "sample 2: smpl/body_pose: holds nan",
    3: r"sample 3: keypoints2d: left_wrist_openpose is \[inf, .*, 1\]",
    4: r"sample 4: image_path: image .*part0/4.png: .*No such file",
}


@pytest.mark.parametrize("number", WRONG)
def test_a_sample_that_cannot_be_used_is_named_with_file_and_field(tmp_path, number):
    data = dataset(broken(tmp_path))
    assert len(data) == COUNT and data[0].image.shape == (3, SIZE, SIZE)
    with pytest.raises(InputError, match=f"tiny_train.npz: {WRONG[number]}"):
        data[number]


def test_training_leaves_out_what_the_check_lists(tmp_path, caplog):
    path = broken(tmp_path)
    report: FileReport = HumanDataset.check_file(path)
    assert report.skipped == (1, 2, 3, 4) and report.usable and report.samples == COUNT
    with caplog.at_level(logging.WARNING):
        data = dataset(path, augment=True)
    assert data.rows.tolist() == [0, 5]
    assert "4 of 6 samples left out (nbf-run data check lists them); the first: sample 1: bbox_xywh" in caplog.text
    assert [int(data[i].index) for i in range(2)] == [0, 1]


def test_samples_without_a_needed_label_are_left_out(tmp_path):
    data, _ = people(with_camera=False)
    tree(tmp_path, with_camera=False)
    path = tmp_path / "data" / "preprocessed_datasets" / "tiny_some.npz"
    published(path, data, has_smpl=np.array([1, 0, 1, 1, 0, 1]))
    assert dataset(path, needs=("params",)).rows.tolist() == [0, 2, 3, 5]
    assert dataset(path, RigidBody())[1].params is None
    published(path, data, has_smpl=np.zeros(6))
    with pytest.raises(ConfigError, match="tiny_some.npz: none of its 6 samples can be used, 6 of which lack params"):
        dataset(path, needs=("params", "keypoints"))


@pytest.mark.parametrize("text", ["../../secret.png", "/etc/passwd", "a/../../b.png", "C:\\x.png", "..\\x.png"])
def test_a_path_that_leaves_the_folder_is_never_opened(tmp_path, text):
    Image.new("RGB", (40, 40)).save(tmp_path / "secret.png")
    (tmp_path / "in" / "deep").mkdir(parents=True)
    path = write_humandata(make([text], np.array([[0, 0, 40, 40.0]])), tmp_path / "in" / "deep" / "a.npz")
    with pytest.raises(InputError, match="a.npz: sample 0: image_path: .* is no path below the images' folder"):
        dataset(path)[0]
    assert HumanDataset.check_file(path).skipped == (0,)


def test_a_check_with_pictures_decodes_them(tmp_path):
    path = tree(tmp_path)
    (path.parents[1] / "datasets" / "tiny" / "part0" / "2.png").write_bytes(b"no picture")
    seen = []
    report = HumanDataset.check_file(path, pictures=True, step=lambda *args: seen.append(args))
    assert report.skipped == (2,) and "part0/2.png" in str(report.problems[0]) and seen[-1] == ("images", 6, 6)
    assert HumanDataset.check_file(path).skipped == ()
    assert HumanDataset.check_file(path, images=tmp_path).skipped == tuple(range(COUNT))


def test_hostile_fields_that_no_run_reads_are_reported(tmp_path):
    path = tree(tmp_path, with_camera=False)
    hostile = np.array({"x": Path}, dtype=object)
    published(path, people(with_camera=False)[0], misc=hostile)
    (problem,) = HumanDataset.check_file(path).problems
    assert problem.field == "misc" and problem.sample is None and "pathlib" in problem.text


def test_a_box_far_larger_than_the_image_costs_nothing(tmp_path):
    Image.new("RGB", (40, 40), (255, 255, 255)).save(tmp_path / "a.png")
    boxes = np.array([[-4e5, -4e5, 8e5, 8e5], [9e5, 9e5, 10, 10.0]])
    path = write_humandata(make(["a.png", "a.png"], boxes), tmp_path / "a.npz")
    data = dataset(path)
    assert data[0].image.max() < 255 and data[1].image.max() == 0


def test_a_sheet_shows_samples_and_what_is_wrong_with_them(tmp_path):
    path = broken(tmp_path)
    sheet = HumanDataset.draw_samples(path, count=6)
    assert sheet.dtype == np.uint8 and sheet.ndim == 3 and sheet.shape[2] == 3
    assert np.array_equal(sheet, HumanDataset.draw_samples(path, count=6))
    assert not np.array_equal(sheet, HumanDataset.draw_samples(path, count=3))
