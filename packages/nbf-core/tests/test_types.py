"""Records of tensors move, index and join alike."""

import dataclasses

import pytest
import torch

from nbf_core.types import BodyParams, Camera, FitResult, Observation, Sample, collate
from nbf_core.types.sample import UNKNOWN
from nbf_core.types.tree import stack


def sample(index, **labels):
    return Sample(
        image=torch.full((3, 4, 4), index, dtype=torch.uint8),
        camera=Camera.from_field((4, 4), 10.0 + index),
        index=torch.tensor(index),
        **labels,
    )


def observation(b=2):
    return Observation(features=torch.rand(b, 5, 4, 4), camera=Camera.from_field((4, 4), 10.0, b))


def test_a_neutral_body_is_at_rest_at_the_origin():
    params = BodyParams.neutral(2, 3, dtype=torch.float64)
    assert params.body_pose.shape == (2, 3, 23, 3)
    assert params.betas.shape == (2, 3, 10)
    assert params.global_orient.dtype == torch.float64
    assert all(getattr(params, field.name).abs().sum() == 0 for field in dataclasses.fields(params))


def test_map_reaches_nested_records_and_leaves_the_rest():
    changed = observation().map(lambda tensor: tensor + 1)
    assert changed.camera.focal.tolist() == [[11.0, 11.0]] * 2
    assert changed.camera.size == (4, 4)
    assert changed.keypoints is None
    assert changed.keypoint_set == "openpose-25"


def test_records_are_frozen_and_a_change_makes_another():
    record = BodyParams.neutral(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.betas = torch.ones(1, 10)
    record.map(lambda tensor: tensor + 1)
    assert record.betas.sum() == 0


def test_indexing_takes_people_out_of_a_batch():
    both = observation()
    first, others = both[0:1], both[torch.tensor([True, False])]
    torch.testing.assert_close(first.features, both.features[:1])
    torch.testing.assert_close(others.camera.focal, both.camera.focal[:1])
    assert both.camera[0].focal.shape == (2,)


def test_a_dtype_changes_floating_tensors_only():
    moved = sample(1).to(torch.float64)
    assert moved.camera.focal.dtype == torch.float64
    assert moved.image.dtype == torch.uint8
    assert moved.index.dtype == torch.int64
    assert sample(1).to("cpu").camera.focal.dtype == torch.float32
    assert sample(1).to("cpu", dtype=torch.float64).camera.focal.dtype == torch.float64


def test_detach_cuts_the_graph_and_clone_copies():
    params = BodyParams.neutral(1, requires_grad=True)
    assert params.betas.requires_grad and not params.detach().betas.requires_grad
    copy = params.detach().clone()
    copy.betas.add_(1)
    assert params.betas.sum() == 0


def test_collate_gives_a_leading_batch_and_drops_labels_not_everybody_has():
    params = BodyParams.neutral()
    batch = collate([sample(0, params=params, keypoints=torch.zeros(25, 3)), sample(1, params=params)])
    assert batch.image.shape == (2, 3, 4, 4)
    assert batch.camera.focal[:, 0].tolist() == [10.0, 11.0]
    assert batch.index.tolist() == [0, 1]
    assert batch.params.body_pose.shape == (2, 23, 3)
    assert batch.keypoints is None
    assert "keypoints" in batch.lacks and "params" not in batch.lacks


def test_a_partial_batch_keeps_what_anybody_has_and_says_whose_it_is():
    known = {
        "params": BodyParams.neutral(), "keypoints": torch.ones(25, 3), "joints": torch.ones(17, 4),
        "kernel_map": torch.zeros(2, 2, dtype=torch.long), "occluded": torch.ones(2, 2, dtype=torch.bool),
    }  # fmt: skip
    batch = collate([sample(0), sample(1, **known), sample(2, gender=torch.tensor(1))], partial=True)
    assert batch.with_params.tolist() == [False, True, False] and batch.params.betas.shape == (3, 10)
    assert batch.keypoints[:, 0].tolist() == [[0.0] * 3, [1.0] * 3, [0.0] * 3]
    assert batch.joints[:, 0, 3].tolist() == [0.0, 1.0, 0.0]
    assert batch.kernel_map[:, 0, 0].tolist() == [UNKNOWN, 0, UNKNOWN]
    assert batch.occluded.any((1, 2)).tolist() == [False, True, False]
    assert batch.gender is None and batch.part_map is None
    assert batch[batch.with_params].index.tolist() == [1]


def test_a_partial_batch_of_people_who_know_the_same_is_a_plain_one():
    same = [sample(i, params=BodyParams.neutral()) for i in range(2)]
    assert collate(same, partial=True).with_params is None
    assert collate([sample(0), sample(1)], partial=True).params is None


def test_stack_can_concatenate():
    joined = stack([observation(2), observation(3)], torch.cat)
    assert joined.features.shape[0] == joined.camera.focal.shape[0] == 5


def test_a_fit_result_keeps_its_trace_when_moved():
    params = BodyParams.neutral(2)
    result = FitResult(
        params=params,
        start=params,
        loss=torch.zeros(2),
        start_loss=torch.ones(2),
        kept=torch.tensor([True, False]),
        silhouette=torch.zeros(2, 4, 4),
        occlusion=torch.zeros(2, 4, 4, dtype=torch.bool),
        trace={"total": torch.zeros(7, 2)},
    )
    moved = result.to(torch.float64)
    assert moved.loss.dtype == torch.float64 and moved.kept.dtype == torch.bool
    assert moved.trace["total"].shape == (7, 2)
