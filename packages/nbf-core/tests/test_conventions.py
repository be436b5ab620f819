"""The orders of keypoint and evaluation sets, against the published tables."""

import torch

from nbf_core.conventions import H36M_17, JOINT_SETS, KEYPOINT_SETS, LSP_14, LSP_17, PELVIS, SMPL_24
from nbf_core.geometry.evaluation import evaluation_joints, joint_visibility

# Of the two published tables from Human3.6M's 17 joints to the evaluated ones, the one in use.
PUBLISHED_17 = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10, 0, 7, 9)


def test_no_name_stands_twice_in_a_set():
    for names in (*KEYPOINT_SETS.values(), LSP_14, LSP_17):
        assert len(set(names)) == len(names)


def test_the_evaluated_joints_are_those_of_the_table_in_use():
    assert JOINT_SETS["lsp-17"].of_h36m == PUBLISHED_17
    assert JOINT_SETS["lsp-14"].of_h36m == PUBLISHED_17[:14]
    assert H36M_17[1:7] == ("left_hip", "left_knee", "left_ankle", "right_hip", "right_knee", "right_ankle")
    assert set(LSP_17) == set(H36M_17) and H36M_17[PELVIS] == "pelvis"


def test_a_joint_is_seen_with_the_body_s_own_of_that_name():
    for joints in JOINT_SETS.values():
        for name, body in zip(joints.joints, joints.of_body, strict=True):
            assert SMPL_24[body] == name or name in ("head_top", "jaw", "spine")


def test_prediction_and_truth_are_centred_alike():
    points = torch.randn(2, 17, 3, generator=torch.Generator().manual_seed(0))
    for name, count in (("lsp-14", 14), ("lsp-17", 17)):
        chosen = evaluation_joints(points, JOINT_SETS[name])
        assert chosen.shape == (2, count, 3)
        assert torch.allclose(chosen, evaluation_joints(points + 3, JOINT_SETS[name]), atol=1e-5)
        assert torch.allclose(chosen[:, 3], points[:, H36M_17.index("left_hip")] - points[:, PELVIS])
        visible = torch.zeros(2, 24)
        visible[:, SMPL_24.index("head")] = 1
        seen = joint_visibility(visible, JOINT_SETS[name])[0]
        names = {JOINT_SETS[name].joints[i] for i in seen.nonzero().flatten()}
        assert names == {"head_top", "jaw"} & set(LSP_17[:count])
