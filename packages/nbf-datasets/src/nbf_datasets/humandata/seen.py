"""Which of the body's 24 joints can be seen, by the annotated keypoints near them."""

from __future__ import annotations

import numpy as np

from nbf_core.conventions import SMPL_24

_SIDED = {
    "hip": ("hip", "hip_extra", "hip_openpose"),
    "knee": ("knee", "knee_openpose"),
    "ankle": ("ankle", "ankle_openpose"),
    "foot": ("foot", "bigtoe", "bigtoe_openpose", "ankle", "ankle_openpose"),
    "collar": ("collar", "clavicle_3dhp", "shoulder", "shoulder_openpose"),
    "shoulder": ("shoulder", "shoulder_openpose"),
    "elbow": ("elbow", "elbow_openpose"),
    "wrist": ("wrist", "wrist_openpose"),
    "hand": ("hand", "hand_3dhp", "wrist", "wrist_openpose"),
}
_MIDDLE = {
    "pelvis": ("pelvis", "pelvis_extra", "pelvis_openpose"),
    "spine1": ("spine_1", "spine_extra", "pelvis", "pelvis_extra", "pelvis_openpose"),
    "spine2": ("spine_2", "spine_extra", "thorax_extra", "pelvis", "pelvis_extra", "pelvis_openpose"),
    "spine3": ("spine_3", "spine_extra", "thorax_extra", "neck", "neck_extra", "neck_openpose"),
    "neck": ("neck", "neck_extra", "neck_openpose"),
    "head": ("head", "headtop", "head_extra", "nose", "nose_openpose"),
}


def _near(joint: str) -> tuple[str, ...]:
    side, _, name = joint.partition("_")
    return tuple(f"{side}_{one}" for one in _SIDED[name]) if name else _MIDDLE[joint]


NEAR = tuple(_near(joint) for joint in SMPL_24)
"""For each joint of ``SMPL_24`` the keypoints, in the common vocabulary, that may tell whether it is seen."""

NAMES = tuple(dict.fromkeys(name for names in NEAR for name in names))


def visible_joints(keypoints: np.ndarray, known: np.ndarray) -> np.ndarray:
    """1 or 0 for each of the 24 joints, float32, from ``keypoints`` [len(NAMES), 3] in crop pixels.

    The first of its keypoints that the data set annotates at all (``known``, bool) decides: a confidence of 0 is
    hidden or outside. A joint near which nothing is ever annotated counts as seen.
    """
    out = np.ones(len(SMPL_24), np.float32)
    for joint, names in enumerate(NEAR):
        rows = [NAMES.index(name) for name in names if known[NAMES.index(name)]]
        if rows:
            out[joint] = keypoints[rows[0], 2] > 0
    return out
