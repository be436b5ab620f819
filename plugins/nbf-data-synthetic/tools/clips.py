"""Reads the motion clips of the installed pybullet package and brings them to SMPL's 24 joints.

A frame holds: duration, root position, then quaternions (w first) of root, chest, neck, right hip, the right
knee's angle, right ankle, right shoulder, the right elbow's angle, and the left side alike; x forward, y up,
z right. SMPL: x to the person's left, y up, z forward, arms along x at rest.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from rotations import about, interpolate_quaternions, matrix_from_quaternion, rotvec_from_matrix

# Columns of a frame.
_BALLS = {
    "root": 4, "chest": 8, "neck": 12, "right_hip": 16, "right_ankle": 21, "right_shoulder": 25,
    "left_hip": 30, "left_ankle": 35, "left_shoulder": 39,
}  # fmt: skip
_HINGES = {"right_knee": 20, "right_elbow": 29, "left_knee": 34, "left_elbow": 43}
# Rows: SMPL's axes in the clips' axes.
_AXES = np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]])


def read_clips(folder: Path) -> dict[str, np.ndarray]:
    """Frames [n, 44] of each clip by its short name."""
    prefix = "humanoid3d_"
    return {
        path.stem[len(prefix) :]: np.array(json.loads(path.read_text())["Frames"])
        for path in sorted(folder.glob(prefix + "*.txt"))
    }


def between_frames(frames: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Frames [m, 44] at fractional indices ``at`` [m]."""
    low = np.clip(np.floor(at).astype(int), 0, len(frames) - 2)
    t = (at - low)[:, None]
    a, b = frames[low], frames[low + 1]
    result = (1 - t) * a + t * b
    for column in _BALLS.values():
        part = slice(column, column + 4)
        result[:, part] = interpolate_quaternions(a[:, part], b[:, part], t)
    return result


def smpl_matrices(frames: np.ndarray) -> np.ndarray:
    """Relative rotations [m, 24, 3, 3] of SMPL's joints, the root's in a world whose y is up."""
    ball = {
        name: _AXES @ matrix_from_quaternion(frames[:, column : column + 4]) @ _AXES.T
        for name, column in _BALLS.items()
    }
    # The hinges turn about the clips' z axis, which is minus SMPL's x.
    hinge = {name: about(0, -np.rad2deg(frames[:, column])) for name, column in _HINGES.items()}
    rotations = np.tile(np.eye(3), (len(frames), 24, 1, 1))
    rotations[:, 0] = ball["root"]
    chest, neck = _fraction(ball["chest"], 1 / 3), _fraction(ball["neck"], 1 / 2)
    for joint in (3, 6, 9):
        rotations[:, joint] = chest
    for joint in (12, 15):
        rotations[:, joint] = neck
    for side, offset, sign in (("left", 0, -1), ("right", 1, 1)):
        down = about(2, sign * 90.0)  # an arm along x to an arm that hangs
        rotations[:, 1 + offset] = ball[f"{side}_hip"]
        rotations[:, 4 + offset] = hinge[f"{side}_knee"]
        rotations[:, 7 + offset] = ball[f"{side}_ankle"]
        rotations[:, 16 + offset] = ball[f"{side}_shoulder"] @ down
        rotations[:, 18 + offset] = down.T @ hinge[f"{side}_elbow"] @ down
    return rotations


def _fraction(rotation: np.ndarray, part: float) -> np.ndarray:
    """The same turn, ``part`` of the way."""
    from rotations import matrix_from_rotvec

    return matrix_from_rotvec(part * rotvec_from_matrix(rotation))
