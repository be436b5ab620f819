"""Against the published crops: tests/golden, or the folder NBF_GOLDEN_DIR names.

The published transform has the origin of pixel coordinates at the first pixel's centre: the same crop, shifted by half
a pixel on both sides.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nbf_core.conventions import SMPL_24, convention, mirror_permutation
from nbf_datasets.humandata.crops import Crop
from nbf_testing.golden import cases

HERE = Path(__file__).parent / "golden"
FLIP_49, FLIP_24 = np.array(convention("smpl_49").flip), np.array(mirror_permutation(SMPL_24))


def crop_of(case, flip: bool = False, shift: float = 0.0) -> Crop:
    size, side = int(case.scalar("img_res")), float(case.inputs["scale"][0])
    return Crop.around(case.inputs["center"] + shift, side, size, float(case.scalar("rotation")), flip)


def test_golden_cases_are_there():
    assert cases("affine_crop", HERE)


@pytest.mark.parametrize("case", cases("affine_crop", HERE), ids=str)
def test_golden_crops_and_their_labels_are_the_published_ones(case):
    published, crop, given = crop_of(case), crop_of(case, shift=0.5), case.inputs
    case.check("affine", published.matrix)
    case.check("affine_inv", np.linalg.inv(np.concatenate([published.matrix, [[0, 0, 1]]]))[:2])
    known = given["keypoints2d"][:, 2:] > 0
    moved = np.concatenate([published.points(given["keypoints2d"][:, :2]), given["keypoints2d"][:, 2:]], 1)
    case.check("warp_keypoints2d", np.where(known, moved, given["keypoints2d"]))
    assert np.array_equal(
        published.keypoints(given["keypoints2d"], FLIP_49), np.where(known, moved, given["keypoints2d"])
    )
    case.check("warp_keypoints3d", crop.joints(given["keypoints3d"], FLIP_49))
    pose = np.concatenate([given["smpl_global_orient"][None], given["smpl_body_pose"]])
    case.check("warp_smpl_global_orient", crop.pose(pose, FLIP_24)[0])
    case.check("warp_smpl_body_pose", crop.pose(pose, FLIP_24)[1:])


@pytest.mark.parametrize("case", cases("affine_crop", HERE), ids=str)
def test_golden_pictures_are_the_published_ones(case):
    published = crop_of(case)
    pixels = published.shifted(-0.5).cut(Image.fromarray(case.inputs["img"]))
    assert pixels.shape == case.outputs["warp_img"].shape
    assert np.abs(pixels.astype(int) - case.outputs["warp_img"]).max() <= 2


@pytest.mark.parametrize("case", cases("affine_crop", HERE), ids=str)
def test_golden_mirrored_labels_are_the_published_ones(case):
    given, width = case.inputs, case.inputs["img"].shape[1]
    pose = np.concatenate([given["smpl_global_orient"][None], given["smpl_body_pose"]])
    # A crop of the whole width, in which a mirrored x is width - 1 - x, as published.
    mirror = Crop.around(np.array([(width - 1) / 2, (width - 1) / 2]), width - 1, width - 1, flip=True)
    flipped = given["keypoints2d"][FLIP_49]
    case.check("flip_keypoints2d", np.concatenate([mirror.points(flipped[:, :2]), flipped[:, 2:]], 1))
    case.check("flip_keypoints3d", mirror.joints(given["keypoints3d"], FLIP_49))
    case.check("flip_smpl_global_orient", mirror.pose(pose, FLIP_24)[0])
    case.check("flip_smpl_body_pose", mirror.pose(pose, FLIP_24)[1:])
    case.check("flip_center", mirror.points(given["center"]))
    both = crop_of(case, flip=True)
    case.check("flip_warp_keypoints3d", both.joints(given["keypoints3d"], FLIP_49))
    case.check("flip_warp_smpl_global_orient", both.pose(pose, FLIP_24)[0])
    moved, known = both.keypoints(given["keypoints2d"], FLIP_49), flipped[:, 2] > 0
    expected = case.outputs.get("flip_warp_keypoints2d")
    if expected is not None:
        assert np.abs(moved[known] - expected[known]).max() < 1e-3
        assert np.array_equal(moved[:, 2], expected[:, 2])
