"""A figure of SMPL's 24 joints, and the keypoints of all conventions as points fixed to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import roma
import torch

from nbf_core.conventions import SMPL_24

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

# Joints at rest in a T-pose: metres, x to the person's left, y up, z forward. The left side; the right one mirrors it.
_MIDDLE = {
    "pelvis": (0.0, -0.22, 0.02), "spine1": (0.0, -0.11, 0.0), "spine2": (0.0, 0.02, 0.02), "spine3": (0.0, 0.07, 0.03),
    "neck": (0.0, 0.28, -0.01), "head": (0.0, 0.37, 0.04),
}  # fmt: skip
_LEFT = {
    "hip": (0.06, -0.31, 0.01), "knee": (0.10, -0.70, 0.02), "ankle": (0.09, -1.10, -0.02), "foot": (0.12, -1.16, 0.10),
    "collar": (0.08, 0.19, 0.0), "shoulder": (0.17, 0.22, -0.02), "elbow": (0.43, 0.21, -0.04),
    "wrist": (0.68, 0.22, -0.04), "hand": (0.77, 0.21, -0.05),
}  # fmt: skip

# Where other keypoints are: the joint that carries them, and how far from it. Sides as above.
_OTHERS = {
    "nose": ("head", (0.0, 0.06, 0.13)), "headtop": ("head", (0.0, 0.20, 0.0)), "jaw": ("head", (0.0, 0.0, 0.08)),
    "thorax": ("neck", (0.0, -0.05, 0.0)), "spine": ("spine2", (0.0, 0.0, 0.0)), "spine_4": ("neck", (0.0, -0.1, 0.0)),
    "eye": ("head", (0.03, 0.10, 0.11)), "ear": ("head", (0.08, 0.07, 0.02)),
    "clavicle": ("collar", (0.0, 0.0, 0.0)), "toe": ("foot", (0.0, 0.0, 0.06)), "bigtoe": ("foot", (-0.02, 0.0, 0.06)),
    "smalltoe": ("foot", (0.03, 0.0, 0.05)), "heel": ("ankle", (0.0, -0.06, -0.05)),
}  # fmt: skip
_SUFFIXES = ("_extra", "_openpose", "_3dhp", "_h36m")


def _rest() -> np.ndarray:
    right = {f"right_{name}": (-x, y, z) for name, (x, y, z) in _LEFT.items()}
    places = {**_MIDDLE, **{f"left_{name}": place for name, place in _LEFT.items()}, **right}
    return np.array([places[name] for name in SMPL_24])


REST = _rest()
"""The joints [24, 3] of the figure before it is posed."""


def rotations(pose: np.ndarray) -> np.ndarray:
    """The rotation [24, 3, 3] of each joint's frame in the axes of the camera, of a pose [24, 3]."""
    local = roma.rotvec_to_rotmat(torch.from_numpy(np.asarray(pose, np.float64))).numpy()
    found = [local[0]]
    for joint in range(1, len(PARENTS)):
        found.append(found[PARENTS[joint]] @ local[joint])
    return np.stack(found)


def joints_of(pose: np.ndarray, transl: np.ndarray) -> np.ndarray:
    """The joints [24, 3] of the figure itself: it turns about its pelvis, as SMPL does, and has one shape."""
    turned, places = rotations(pose), [REST[0] + transl]
    for joint in range(1, len(PARENTS)):
        parent = PARENTS[joint]
        places.append(places[parent] + turned[parent] @ (REST[joint] - REST[parent]))
    return np.stack(places)


def points_of(names: Sequence[str], joints: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """Keypoints [n, 3] by their names in the common vocabulary, fixed to ``joints`` with frames ``turned``."""
    return np.stack([_point(name, joints, turned) for name in names])


def _point(name: str, joints: np.ndarray, turned: np.ndarray) -> np.ndarray:
    stem = next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name)
    side, _, part = stem.rpartition("_") if stem.startswith(("left_", "right_")) else ("", "", stem)
    plain = stem.replace("spine_", "spine")
    if plain in SMPL_24:
        return joints[SMPL_24.index(plain)]
    carrier, offset = _OTHERS[part]
    sided = f"{side}_{carrier}" if f"{side}_{carrier}" in SMPL_24 else carrier
    joint = SMPL_24.index(sided)
    return joints[joint] + turned[joint] @ (np.array(offset) * [-1 if side == "right" else 1, 1, 1])
