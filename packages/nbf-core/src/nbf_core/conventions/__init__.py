"""Keypoint sets, joint names and limbs, as data. Imports nothing heavy."""

from nbf_core.conventions.keypoints import COCO_17, H36M_17, KEYPOINT_SETS, OPENPOSE_25, SMPL_24
from nbf_core.conventions.limbs import LIMB_JOINTS, LIMBS
from nbf_core.conventions.mirror import mirror_permutation

__all__ = [
    "COCO_17",
    "H36M_17",
    "KEYPOINT_SETS",
    "LIMBS",
    "LIMB_JOINTS",
    "OPENPOSE_25",
    "SMPL_24",
    "mirror_permutation",
]
