import hashlib
from dataclasses import fields

import numpy as np
import pytest
import torch

from nbf_core.conventions import OPENPOSE_25
from nbf_core.types import Sample, collate
from nbf_data_synthetic.config import SyntheticConfig
from nbf_data_synthetic.dataset import SyntheticPeople
from nbf_data_synthetic.placing import load_poses

# Pixels of four base pictures of the shipped body: the same on any machine. They change with GENERATOR only.
PIXELS = "9d5e6dc6ba46cbdb"


@pytest.fixture(scope="session")
def train(body):
    return SyntheticPeople(SyntheticConfig(size=16, augment=True), body)


@pytest.fixture(scope="session")
def prepared(body, tmp_path_factory):
    data = SyntheticPeople(SyntheticConfig(size=8, cache=tmp_path_factory.mktemp("cache")), body)
    data.prepare()
    return data


def equal(a, b) -> bool:
    """Whether two records hold the same tensors."""
    for field in fields(a):
        x, y = getattr(a, field.name), getattr(b, field.name)
        same = torch.equal(x, y) if isinstance(x, torch.Tensor) else (equal(x, y) if hasattr(x, "map") else x == y)
        if not same:
            return False
    return True


def test_the_same_seed_gives_the_same_pixels_on_any_machine(body):
    digest = hashlib.sha256()
    for split in ("train", "test"):
        data = SyntheticPeople(SyntheticConfig(size=2, split=split), body)
        for index in range(2):
            digest.update(data.base(index).image.tobytes())
            digest.update(data.base(index).kernel_map.tobytes())
    assert digest.hexdigest()[:16] == PIXELS


def test_a_sample_is_the_same_whenever_it_is_asked_for(train):
    train.set_epoch(0)
    first = train[3]
    train.set_epoch(1)
    assert not torch.equal(first.image, train[3].image)
    train.set_epoch(0)
    assert equal(first, train[3])


def test_samples_have_the_shapes_of_the_contract_and_collate(train):
    batch = collate([train[i] for i in range(4)])
    assert batch.image.shape == (4, 3, 128, 128) and batch.image.dtype == torch.uint8
    assert batch.kernel_map.shape == batch.part_map.shape == (4, 64, 64)
    assert batch.keypoints.shape == batch.detected.shape == (4, 25, 3)
    assert batch.visible_joints.shape == (4, 24) and batch.params.body_pose.shape == (4, 23, 3)
    assert batch.lacks == () and batch.camera.size == (128, 128)
    assert isinstance(batch, Sample)
    for value in (batch.keypoints, batch.params.transl, batch.camera.focal):
        assert value.dtype == torch.float32 and value.isfinite().all()


@pytest.mark.parametrize("epoch", [0, 1])
def test_labels_agree_with_the_posed_body_after_augmentation(train, body, epoch):
    train.set_epoch(epoch)
    batch = collate([train[i] for i in range(16)])
    output = body(batch.params)
    projected = batch.camera.project(body.keypoints(output, "openpose-25"))
    torch.testing.assert_close(projected, batch.keypoints[..., :2], atol=2e-3, rtol=1e-4)
    kernels = batch.camera.resized((64, 64)).project(output.kernels)
    for n in range(16):
        rows, columns = torch.nonzero(batch.kernel_map[n] >= 0, as_tuple=True)
        centres = torch.stack([columns, rows], -1) + 0.5
        away = (kernels[n, batch.kernel_map[n, rows, columns]] - centres).norm(dim=-1)
        # Clothes stand off the body by up to 4 cm, kernels are 4 cm apart; a person is about 50 cells tall.
        assert away.median() < 2.5


def test_part_map_names_the_part_of_the_kernel(train, body):
    spec = body.spec
    sample = train[1]
    on_body = sample.kernel_map >= 0
    assert (sample.part_map[on_body] == spec.vertex_parts[spec.kernel_vertices[sample.kernel_map[on_body]]]).all()
    assert (sample.part_map[~on_body] == sample.kernel_map[~on_body]).all()


def test_left_is_left(body):
    """A person seen from the front has the left hand on the right of the picture, and the map says so too."""
    data = SyntheticPeople(SyntheticConfig(size=40), body)
    left, right = OPENPOSE_25.index("left_shoulder"), OPENPOSE_25.index("right_shoulder")
    votes = []
    for index in range(40):
        sample = data[index]
        arms = [(sample.part_map == part).nonzero()[:, 1].float() for part in (16, 17)]
        gap = float(sample.keypoints[left, 0] - sample.keypoints[right, 0])
        if abs(gap) > 12 and all(len(arm) > 4 for arm in arms):
            votes.append((float(arms[0].mean() - arms[1].mean()) > 0) == (gap > 0))
    assert len(votes) > 5 and np.mean(votes) > 0.85


def test_a_patch_hides_keypoints_joints_and_maps(body):
    clean = SyntheticPeople(SyntheticConfig(size=6, split="test"), body)
    hidden = SyntheticPeople(SyntheticConfig(size=6, split="test", patch_size=80), body)
    fewer = 0
    for index in range(6):
        a, b = clean[index], hidden[index]
        changed = (a.image != b.image).any(0)
        rows, columns = torch.nonzero(changed, as_tuple=True)
        assert torch.equal(a.keypoints[:, :2], b.keypoints[:, :2]) and equal(a.params, b.params)
        assert (b.kernel_map == -2).sum() > 20 and torch.equal(b.kernel_map == -2, b.part_map == -2)
        x0, x1, y0, y1 = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
        gone = (a.keypoints[:, 2] > 0) & (b.keypoints[:, 2] == 0)
        inside = (b.keypoints[:, 0] >= x0) & (b.keypoints[:, 0] < x1) & (b.keypoints[:, 1] >= y0)
        assert (inside & (b.keypoints[:, 1] < y1))[gone].all() and (b.detected[gone, 2] == 0).all()
        fewer += int(gone.sum())
        assert b.visible_joints.sum() <= a.visible_joints.sum()
    assert fewer > 6


def test_people_in_front_hide_maps_keypoints_and_joints(body):
    alone = SyntheticPeople(SyntheticConfig(size=24, others=0), body)
    crowd = SyntheticPeople(SyntheticConfig(size=24, others=1), body)
    hidden = 0
    for index in range(24):
        a, b = alone.base(index), crowd.base(index)
        assert np.array_equal(a.keypoints, b.keypoints) and np.array_equal(a.pose, b.pose)
        both = (a.kernel_map >= 0) & (b.kernel_map >= 0)
        assert np.array_equal(a.kernel_map[both], b.kernel_map[both])
        assert ((b.kernel_map >= 0) <= (a.kernel_map != -1)).all()
        hidden += int((b.kernel_map == -2).sum())
        if not (b.kernel_map == -2).any():
            assert b.joints_free.all()
    assert hidden > 100


def test_what_the_border_hides_is_not_visible(body):
    data = SyntheticPeople(SyntheticConfig(size=24, augment=True, patch_probability=0), body)
    beyond = 0
    for index in range(24):
        base = data.base(index)
        outside = ((base.joints < 0) | (base.joints >= 128)).any(1)
        _, moved, _ = data._augmented(index, base)
        count = int(outside.sum() - (data[index].visible_joints == 0).sum())
        assert count <= 0 and (moved.joints_free == 0).sum() >= outside.sum()
        beyond += int(outside.sum())
    assert beyond > 0


def test_splits_have_people_of_their_own(body):
    poses = {split: load_poses(split) for split in ("train", "val", "test")}
    assert {split: len(value) for split, value in poses.items()} == {"train": 6000, "val": 300, "test": 600}
    first = [SyntheticPeople(SyntheticConfig(size=1, split=split), body).base(0).image for split in poses]
    assert not np.array_equal(first[0], first[1]) and not np.array_equal(first[1], first[2])


def test_cached_equals_rendered(prepared, body):
    rendered = SyntheticPeople(SyntheticConfig(size=8), body)
    for index in (0, 7):
        for a, b in zip(prepared.base(index), rendered.base(index), strict=True):
            assert np.array_equal(a, b)
        assert equal(prepared[index], rendered[index])


def test_an_interrupted_cache_goes_on_and_a_finished_one_is_found(prepared, body, monkeypatch):
    config = prepared.config
    again = SyntheticPeople(config, body)

    def never(index):
        raise AssertionError("rendered although cached")

    monkeypatch.setattr(type(again._renderer), "__call__", lambda self, index: never(index))
    again.prepare()
    assert equal(again[2], prepared[2])
    fewer = SyntheticPeople(config.model_copy(update={"size": 5}), body)
    assert len(fewer) == 5 and equal(fewer[4], prepared[4])


def test_workers_fill_the_cache_and_see_the_epoch(prepared, body, tmp_path):
    config = SyntheticConfig(size=6, augment=True)
    data = SyntheticPeople(config, body)
    data.prepare(tmp_path, workers=2)
    assert np.array_equal(data.base(5).image, prepared.base(5).image)
    loader = torch.utils.data.DataLoader(data, batch_size=3, collate_fn=collate, num_workers=1, persistent_workers=True)
    epochs = []
    for epoch in (0, 1, 0):
        data.set_epoch(epoch)
        epochs.append(torch.cat([batch.image for batch in loader]))
    assert torch.equal(epochs[0], epochs[2]) and not torch.equal(epochs[0], epochs[1])


def test_detected_keypoints_are_noisy_and_some_are_missing(body):
    data = SyntheticPeople(SyntheticConfig(size=24), body)
    samples = collate([data[i] for i in range(24)])
    seen = (samples.keypoints[..., 2] > 0) & (samples.detected[..., 2] > 0)
    error = (samples.detected - samples.keypoints)[..., :2][seen].std()
    assert 0.8 < error / (2 * 128 / 224) < 1.5
    missing = ((samples.keypoints[..., 2] > 0) & (samples.detected[..., 2] == 0)).float().mean()
    assert 0 < missing < 0.1


def test_an_index_out_of_range_is_refused(train):
    with pytest.raises(IndexError):
        train[16]
