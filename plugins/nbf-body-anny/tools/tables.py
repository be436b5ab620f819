"""Markers and keypoint sets of the body, as weights over its 24 joints followed by its markers."""

from __future__ import annotations

import numpy as np

MARKERS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "head_top", "left_heel", "right_heel",
    "left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe",
)  # fmt: skip

# Points that are no joint or marker of the same name, as affine combinations (joint names get a "j:").
_MIXED = {
    "neck": {"j:left_shoulder": 0.5, "j:right_shoulder": 0.5},
    "mid_hip": {"j:left_hip": 0.5, "j:right_hip": 0.5},
}
# Human3.6M puts its pelvis between the hips, its spine halfway up the trunk, its neck at the upper end of the
# thorax and its jaw inside the face.
_MIXED_H36M = {
    "pelvis": {"j:left_hip": 0.5, "j:right_hip": 0.5},
    "spine": {"j:spine2": 0.5, "j:spine3": 0.5},
    "neck": {"j:neck": 0.5, "j:left_shoulder": 0.25, "j:right_shoulder": 0.25},
    "jaw": {"j:head": 0.5, "nose": 0.5},
}


def marker_vertices(vertices, mirror, coco: dict[str, np.ndarray]) -> np.ndarray:
    """Vertex of each marker: nearest to anny's COCO keypoint `coco[name]` [3] (left ones mirrored to the
    right), the top of the head by height; nose and head top lie on the midline."""
    middle = np.flatnonzero(np.abs(vertices[:, 0]) < 1e-4)
    chosen: dict[str, int] = {}
    for name in MARKERS:
        if name == "head_top":
            chosen[name] = int(middle[vertices[middle, 1].argmax()])
        elif name == "nose":
            # The tip: anny's keypoint lies a little inside of it.
            near = middle[np.linalg.norm(vertices[middle] - coco[name], axis=1) < 0.03]
            chosen[name] = int(near[vertices[near, 2].argmax()])
        elif name.startswith("right_"):
            chosen[name] = int(mirror[chosen["left_" + name[6:]]])
        else:
            chosen[name] = int(np.linalg.norm(vertices - coco[name], axis=1).argmin())
    return np.array([chosen[name] for name in MARKERS])


def keypoint_weights(sets: dict[str, tuple[str, ...]], joint_names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Weights [n, 24 + markers] of each keypoint set; each row sums to one."""
    column = {f"j:{name}": i for i, name in enumerate(joint_names)}
    column |= {name: len(joint_names) + i for i, name in enumerate(MARKERS)}
    result = {}
    for key, names in sets.items():
        mixed = {} if key == "smpl-24" else _MIXED_H36M if key == "h36m-17" else _MIXED
        weights = np.zeros((len(names), len(column)), np.float32)
        for row, name in enumerate(names):
            plain = {name: 1.0} if name in MARKERS else {f"j:{name}": 1.0}
            for part, value in mixed.get(name, plain).items():
                weights[row, column[part]] = value
        result[key] = weights
    return result
