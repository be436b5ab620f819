"""The free body in the files of SMPL, SMPL-H and SMPL-X, so that whatever reads those can be tried without them.

It stays what it is: MakeHuman's joints, no pose blend shapes, shapes of its own. What it lacks is made up: the fingers'
joints (``fingers``), a jaw that moves nothing, a face without expressions, and two genders that are two of its shapes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nbf_body_anny.fingers import FINGERS, Hand, split_hand
from nbf_core.conventions import H36M_17, SMPL_24

LAYOUTS = ("smpl", "smplh", "smplx")
_NEAREST = 1000  # vertices that a joint of the rest pose is regressed from
_NEAREST_POSED, _RIDGE = 200, 1e-4  # the same for posed joints, and how much small weights are preferred
_GENDERS = {"neutral": 0.0, "male": 0.7, "female": -0.7}  # of the first shape, mostly height
_EXPRESSIONS = 10
# Names of the package smplx's vocabulary for the rows of J_regressor_extra.npy; points of ours that stand for them.
_EXTRA = {
    "right_hip_extra": "right_hip", "left_hip_extra": "left_hip", "neck_extra": "neck", "headtop": "head_top",
    "pelvis_extra": "pelvis", "thorax_extra": "neck", "spine_extra": "spine", "jaw_extra": "jaw", "head_extra": "jaw",
}  # fmt: skip
_TOES = {"big_toe": "bigtoe", "small_toe": "smalltoe"}


def model_files(
    arrays: Mapping[str, np.ndarray],
    parents: tuple[int, ...],
    layout: str,
    posed: tuple[np.ndarray, np.ndarray],
) -> dict[str, dict[str, np.ndarray] | np.ndarray]:
    """All files of a layout by their published paths, from the arrays that the package ships.

    ``posed`` are vertices [n, V, 3] and joints [n, 24, 3] of people in many poses, that regressors are fitted to.
    SMPL's are pickles, as its readers expect, the others npz. The regressors and mean parameters are SMPL's.
    """
    body = _Body(arrays, parents, layout)
    suffix = "pkl" if layout == "smpl" else "npz"
    files: dict[str, dict[str, np.ndarray] | np.ndarray] = {}
    for gender, height in _GENDERS.items():
        files[f"{layout}/{layout.upper()}_{gender.upper()}.{suffix}"] = body.model(height)
    if layout == "smpl":
        files["J_regressor_h36m.npy"] = body.regressed(H36M_17, posed)
        files["J_regressor_extra.npy"] = body.regressed(tuple(_EXTRA.values()), posed)
        files["smpl_mean_params.npz"] = _mean_params()
    return files


class _Body:
    def __init__(self, arrays: Mapping[str, np.ndarray], parents: tuple[int, ...], layout: str) -> None:
        self.arrays, self.layout = arrays, layout
        self.template = arrays["template"].astype(np.float64)
        self.directions = arrays["shape_directions"].astype(np.float64)
        self.count = len(self.template)
        weights = np.zeros((self.count, len(parents)))
        np.put_along_axis(weights, arrays["weight_joints"].astype(np.int64), arrays["weight_values"], 1)
        self.weights = weights / weights.sum(1, keepdims=True)
        self.rows = np.stack([self._joint_row(joint) for joint in range(len(parents))])
        self.parents = list(parents)
        self.markers = dict(zip(arrays["marker_names"].tolist(), arrays["marker_vertices"].tolist(), strict=True))
        self.tips: dict[str, int] = {}
        hands = [split_hand(self.template, arrays["faces"], self.weights[:, joint]) for joint in (22, 23)]
        for side, hand in zip(("left", "right"), hands, strict=True):
            self.tips |= {f"{side}_{finger}": tip for finger, tip in zip(FINGERS, hand.tips, strict=True)}
        if layout != "smpl":
            self._with_fingers(hands)

    def model(self, height: float) -> dict[str, np.ndarray]:
        """The arrays of one gender's file."""
        joints = len(self.parents)
        directions = self.directions
        if self.layout == "smplx":
            directions = np.concatenate([directions, np.zeros((self.count, 3, _EXPRESSIONS))], 2)
        named = {_bare(name): vertex for name, vertex in self.markers.items() if name != "head_top"} | self.tips
        found = {
            "v_template": self.template + height * self.directions[..., 0],
            "shapedirs": directions,
            # None of its own; float32, as sixty million zeros are many.
            "posedirs": np.zeros((self.count, 3, 9 * (joints - 1)), np.float32),
            "J_regressor": self.rows,
            "weights": self.weights,
            "kintree_table": np.array([(2**32 - 1, *self.parents[1:]), range(joints)], np.uint32),
            "f": self.arrays["faces"].astype(np.uint32),
            "vert_sym_idxs": self.arrays["vertex_mirror"].astype(np.int64),
            "marker_names": np.array(list(named)),
            "marker_vertices": np.array(list(named.values()), np.int64),
        }
        return found | (_hands() if self.layout != "smpl" else {}) | (_face() if self.layout == "smplx" else {})

    def regressed(self, names: tuple[str, ...], posed: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Weights [n, V] of these joints of ``h36m-17``, for vertices in any pose."""
        points = [self._posed_row(joint, *posed) for joint in range(24)]
        points += [self._one(vertex) for vertex in self.markers.values()]
        weights = self.arrays["keypoints/h36m-17"].astype(np.float64)
        return np.stack([weights[H36M_17.index(name)] @ np.stack(points) for name in names])

    def _one(self, vertex: int) -> np.ndarray:
        row = np.zeros(self.count)
        row[vertex] = 1
        return row

    def _posed_row(self, joint: int, vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
        """Small weights of nearby vertices that give this joint in all these poses, about."""
        near = np.linalg.norm(self.template - self.arrays["joints"][joint], axis=1).argsort()[:_NEAREST_POSED]
        apart = (vertices[:, near] - joints[:, joint, None]).transpose(0, 2, 1).reshape(-1, len(near))
        # Where weights add up to 1, the mixture of the vertices is the joint if that of their distances to it is 0.
        system = apart.T @ apart + len(vertices) * _RIDGE * np.eye(len(near)) + 100
        row = np.zeros(self.count)
        row[near] = np.linalg.solve(system, np.full(len(near), 100.0))
        return row / row.sum()

    def _joint_row(self, joint: int) -> np.ndarray:
        """The smallest weights of nearby vertices that give this joint, exactly, for every shape."""
        place = self.arrays["joints"][joint].astype(np.float64)
        near = np.linalg.norm(self.template - place, axis=1).argsort()[:_NEAREST]
        moved = np.concatenate([self.template[:, :, None], self.directions], 2)[near]  # [n, 3, 1 + S]
        target = np.concatenate([place[:, None], self.arrays["joint_shape_directions"][joint]], 1)
        system = np.concatenate([moved.reshape(len(near), -1).T, np.ones((1, len(near)))])
        solution = np.linalg.lstsq(system, np.append(target.ravel(), 1), rcond=None)[0]
        row = np.zeros(self.count)
        row[near] = solution
        return row

    def _with_fingers(self, hands: list[Hand]) -> None:
        """SMPL-H's joints, and SMPL-X's: 22 of the body, jaw and eyes, then fifteen of each hand."""
        rows, weights, parents = [*self.rows[:22]], [*self.weights[:, :22].T], self.parents[:22]
        if self.layout == "smplx":
            head = SMPL_24.index("head")
            for marker in ("nose", "left_eye", "right_eye"):
                row = self._one(self.markers[marker])
                rows.append((row + self.rows[head]) / 2 if marker == "nose" else row)
                weights.append(np.zeros(self.count))
                parents.append(head)
        for hand, wrist in zip(hands, ("left_wrist", "right_wrist"), strict=True):
            for place in range(15):
                parents.append(SMPL_24.index(wrist) if place % 3 == 0 else len(parents) - 1)
            rows.extend(hand.rows)
            weights.extend(hand.weights)
        self.rows, self.weights, self.parents = np.stack(rows), np.stack(weights, 1), parents


def _bare(name: str) -> str:
    """A marker's name in the vocabulary of keypoint conventions."""
    for ours, theirs in _TOES.items():
        name = name.replace(ours, theirs)
    return name


def _hands() -> dict[str, np.ndarray]:
    """Principal components and the mean of hands: each number on its own, and fingers a little bent."""
    found = {}
    for letter, sign in (("l", -1), ("r", 1)):
        bent = np.zeros((15, 3))
        bent[:12, 2] = 0.25 * sign  # all but the thumb
        found |= {f"hands_components{letter}": np.eye(45), f"hands_mean{letter}": bent.ravel()}
    return found


def _face() -> dict[str, np.ndarray]:
    """Landmarks that readers of SMPL-X insist on; all on one triangle."""
    return {
        "lmk_faces_idx": np.zeros(51, np.int64),
        "lmk_bary_coords": np.full((51, 3), 1 / 3),
        "dynamic_lmk_faces_idx": np.zeros((79, 17), np.int64),
        "dynamic_lmk_bary_coords": np.full((79, 17, 3), 1 / 3),
    }


def _mean_params() -> dict[str, np.ndarray]:
    """A standing pose (first two columns of each rotation, row by row), mean shape, weak-perspective camera."""
    return {
        "pose": np.tile(np.array([1, 0, 0, 1, 0, 0], np.float32), 24),
        "shape": np.zeros(10, np.float32),
        "cam": np.array([0.9, 0, 0], np.float32),
    }
