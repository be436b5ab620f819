"""Kernels found in feature maps, against the published values."""

from pathlib import Path

import pytest
import torch

from nbf_core.errors import ShapeError
from nbf_fitters.detected import detect_vertices
from nbf_testing.golden import cases

DOWNSAMPLE = 4
"""Published boxes are in pixels of an image four times the size of the map."""


@pytest.mark.parametrize("case", cases("detected_2d_vertices", Path(__file__).parent / "golden"), ids=str)
def test_vertices_are_found_where_the_published_code_finds_them(case):
    bank = case.tensor("feature_bank").unflatten(-1, (case.params["n_orient"], -1))
    place, sure = detect_vertices(case.tensor("predicted_map"), bank, case.tensor("bbox_xyxy") / DOWNSAMPLE)
    case.check("xy", place.int())
    case.check("conf", sure)


def test_without_a_box_the_whole_map_counts():
    features = torch.eye(6).view(1, 6, 2, 3)
    place, sure = detect_vertices(features, torch.eye(6)[:, None])
    assert place[0].tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]]
    torch.testing.assert_close(sure, torch.ones(1, 6))


@pytest.mark.wrong_shapes
def test_different_channels_are_named():
    with pytest.raises(ShapeError, match="features 4, bank 5"):
        detect_vertices(torch.ones(1, 4, 2, 2), torch.ones(3, 1, 5))
