"""Keypoint sets, conventions, joint names and limbs, as data. Imports nothing heavy."""

from nbf_core.conventions.evaluation import JOINT_SETS, LSP_14, LSP_17, PELVIS, JointSet
from nbf_core.conventions.keypoints import COCO_17, H36M_17, KEYPOINT_SETS, OPENPOSE_25, SMPL_24
from nbf_core.conventions.limbs import LIMB_JOINTS, LIMBS
from nbf_core.conventions.mirror import mirror_permutation
from nbf_core.conventions.skeletons import CONVENTIONS, Convention, convention, relatives

__all__ = [
    "COCO_17",
    "CONVENTIONS",
    "H36M_17",
    "JOINT_SETS",
    "KEYPOINT_SETS",
    "LIMBS",
    "LIMB_JOINTS",
    "LSP_14",
    "LSP_17",
    "OPENPOSE_25",
    "PELVIS",
    "SMPL_24",
    "Convention",
    "JointSet",
    "convention",
    "mirror_permutation",
    "relatives",
]
