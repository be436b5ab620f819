"""Against the published conventions: tests/golden, or the folder NBF_GOLDEN_DIR names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbf_core import conventions
from nbf_core.conventions import CONVENTIONS, KEYPOINT_SETS, LIMB_JOINTS, LIMBS, LSP_17, convention, mirror_permutation
from nbf_core.conventions.skeletons import H36M_TO_J17_UNUSED, J24_TO_J17, SMPL_POSE_FLIP
from nbf_core.errors import ConfigError, ShapeError
from nbf_core.geometry.keypoints import convert_keypoints, matching_rows
from nbf_testing.golden import cases, golden_dir

HERE = Path(__file__).parent / "golden"
TABLES = golden_dir(HERE) / "conventions.json"
PUBLISHED = json.loads((TABLES if TABLES.exists() else HERE / "conventions.json").read_text(encoding="utf-8"))


def test_golden_cases_are_there():
    assert cases("convert_kps", HERE)


@pytest.mark.parametrize("case", cases("convert_kps", HERE), ids=str)
def test_golden_keypoints_are_converted_as_published(case):
    for name in case.inputs:
        source, target = name.split("__")
        values = case.inputs[name]
        for given_values in (values, torch.from_numpy(values)):
            out, known = convert_keypoints(given_values, source, target)
            case.check(name, out)
            case.check(f"{name}__mask", known)


@pytest.mark.parametrize("name", PUBLISHED["joint_names"])
def test_joints_are_named_and_ordered_as_published(name):
    assert list(convention(name).joints) == PUBLISHED["joint_names"][name]
    assert set(PUBLISHED["joint_names"]) == set(CONVENTIONS)


@pytest.mark.parametrize("pair", PUBLISHED["convert_kps"])
def test_rows_match_as_published(pair):
    names, _, how = pair.partition("|")
    to, of = matching_rows(*names.split("->"), approximate=how == "approximate")
    assert list(to) == PUBLISHED["convert_kps"][pair]["dst_idxs"]
    assert list(of) == PUBLISHED["convert_kps"][pair]["src_idxs"]


def test_mirror_images_are_the_published_ones():
    for name in ("smpl_49", "smpl_24"):
        assert set(convention(name).flip_pairs) == {tuple(pair) for pair in PUBLISHED[f"flip_pairs_{name}"]}
    for key, name in (("SMPL_JOINTS", "smpl"), ("J24", "smpl_24"), ("J49", "smpl_49"), ("OPENPOSE", "openpose_25")):
        assert list(convention(name).flip) == PUBLISHED[f"{key}_FLIP_PERM"]
    assert list(SMPL_POSE_FLIP) == PUBLISHED["SMPL_POSE_FLIP_PERM"]
    assert list(mirror_permutation(LIMBS)) == PUBLISHED["nemo_part_list_flip_permute"]


def test_evaluated_joints_limbs_and_maps_are_the_published_ones():
    h36m = conventions.H36M_17
    assert [h36m.index(name) for name in LSP_17] == PUBLISHED["H36M_TO_J17_used_in_datasets_and_registrant"]
    assert list(H36M_TO_J17_UNUSED) == PUBLISHED["H36M_TO_J17_constants"]
    assert list(J24_TO_J17) == PUBLISHED["J24_TO_J17"] and list(J24_TO_J17[:14]) == PUBLISHED["J24_TO_J14"]
    assert list(LIMBS) == PUBLISHED["nemo_part_list"]
    assert {name: list(ends) for name, ends in zip(LIMBS, LIMB_JOINTS, strict=True)} == PUBLISHED["openpose_links"]
    assert list(matching_rows("smpl_54", "smpl_49", True)[1]) == PUBLISHED["JOINT_MAP_49_to_smpl54"]
    assert list(conventions.SMPL_24) == PUBLISHED["SMPL_JOINTS_24"]
    for word in ("shoulder", "hip"):
        rows = [row for row, joint in enumerate(convention("smpl_49").joints) if word in joint]
        assert rows == PUBLISHED[f"{word}_idxs_smpl_49"]


@pytest.mark.parametrize("name", KEYPOINT_SETS)
def test_the_sets_of_bodies_and_detectors_are_rows_of_a_convention(name):
    found = {"openpose-25": "openpose_25", "coco-17": "coco", "h36m-17": "h36m", "smpl-24": "smpl"}[name]
    assert len(convention(found)) == len(KEYPOINT_SETS[name])
    assert convention(found).flip == mirror_permutation(KEYPOINT_SETS[name])


@settings(deadline=None)
@given(st.sampled_from(sorted(CONVENTIONS)))
def test_a_mirror_image_of_a_mirror_image_is_the_same(name):
    flip = np.array(convention(name).flip)
    assert (flip[flip] == np.arange(len(flip))).all()
    for joint, other in zip(convention(name).joints, flip, strict=True):
        if joint.startswith("left_"):
            assert convention(name).joints[other] == joint.replace("left_", "right_")


@settings(deadline=None)
@given(st.sampled_from(sorted(CONVENTIONS)), st.sampled_from(sorted(CONVENTIONS)))
def test_there_and_back_gives_what_both_know(one, other):
    values = np.random.default_rng(0).normal(size=(2, len(convention(one)), 3))
    there, known = convert_keypoints(values, one, other)
    back, both = convert_keypoints(there, other, one, mask=known)
    np.testing.assert_array_equal(back[:, both > 0], values[:, both > 0])
    assert (back[:, both == 0] == 0).all() and both.sum() == known.sum()


def test_a_face_is_mirrored_about_its_middle():
    human_data = convention("human_data")
    at = human_data.rows
    for one, other in (("mouth_1", "mouth_7"), ("nose_2", "nose_4"), ("face_contour_3", "face_contour_15")):
        assert human_data.flip[at[one]] == at[other]
    assert human_data.flip[at["lip_3"]] == at["lip_3"]


def test_a_mask_says_which_rows_are_known():
    values = np.ones((1, 17, 3))
    mask = np.ones(17, np.uint8)
    mask[convention("coco").rows["left_knee"]] = 0
    _, known = convert_keypoints(values, "coco", "lsp", mask=mask)
    assert known.dtype == np.uint8 and known[convention("lsp").rows["left_knee"]] == 0 and known.sum() == 11


def test_errors_name_the_convention():
    with pytest.raises(ConfigError, match=r"no keypoint convention named 'human_dat'; did you mean human_data"):
        convention("human_dat")
    with pytest.raises(ShapeError, match=r"keypoints of coco: expected \[\.\.\., 17, c\], got \(1, 16, 3\)"):
        convert_keypoints(np.ones((1, 16, 3)), "coco", "lsp")
    with pytest.raises(ShapeError, match=r"mask of coco: expected \[17\], got \(16,\)"):
        convert_keypoints(np.ones((1, 17, 3)), "coco", "lsp", mask=np.ones(16))
