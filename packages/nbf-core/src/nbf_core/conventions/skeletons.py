"""Keypoint conventions by name: lists of joints in one vocabulary, that of HumanData's 190 points (MMHuman3D).

A joint that several data sets mean differently has several names there: ``right_hip`` is SMPL's joint centre,
``right_hip_extra`` that of Leeds Sports Pose, ``right_hip_openpose`` that of OpenPose. Two conventions are converted
into one another by these names (``nbf_core.geometry.keypoints``). The sets that bodies and fitters use
(``keypoints.KEYPOINT_SETS``) are the same rows under plain names, and are where the tables below come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

from nbf_core.conventions.evaluation import LSP_14
from nbf_core.conventions.keypoints import COCO_17, H36M_17, OPENPOSE_25, SMPL_24
from nbf_core.conventions.mirror import mirror_permutation
from nbf_core.errors import ConfigError

SUFFIXES = ("", "_extra", "_openpose", "_3dhp", "_h36m")
"""How the names of one joint, as different sources mean it, differ; the most general first."""


@dataclass(frozen=True)
class Convention:
    """The joints of a convention, in order. ``flip`` gives for each row the row of its mirror image."""

    name: str
    joints: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.joints)

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """The row of each joint."""
        return {joint: row for row, joint in enumerate(self.joints)}

    @cached_property
    def flip(self) -> tuple[int, ...]:
        """A permutation that exchanges left and right; what has no counterpart here stays."""
        return tuple(self.rows.get(_mirrored(joint), row) for row, joint in enumerate(self.joints))

    @property
    def flip_pairs(self) -> tuple[tuple[int, int], ...]:
        """(left, right) rows that change places."""
        pairs = ((row, other) for row, other in enumerate(self.flip) if self.joints[row].startswith("left_"))
        return tuple((row, other) for row, other in pairs if other != row)


def convention(name: str) -> Convention:
    """The convention of that name, also ``openpose-25`` for ``openpose_25``. Raises ConfigError listing the names."""
    plain = name.lower().replace("-", "_")
    plain = _OTHER_NAMES.get(plain, plain)
    if plain not in CONVENTIONS:
        near = get_close_matches(plain, CONVENTIONS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"no keypoint convention named {name!r}{hint} known: {', '.join(CONVENTIONS)}")
    return CONVENTIONS[plain]


def relatives(joint: str) -> tuple[str, ...]:
    """Other names of about the same joint, the nearest in meaning first: what an approximate conversion may take."""
    suffix = next((one for one in SUFFIXES[1:] if joint.endswith(one)), "")
    stem = joint.removesuffix(suffix)
    return tuple(stem + other for other in SUFFIXES if other != suffix)


def _numbered(names: Iterable[str], numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(f"{name}_{number}" for name in names for number in numbers)


def _sides(*names: str) -> tuple[str, ...]:
    """The left ones, then the right ones."""
    return tuple(f"{side}_{name}" for side in ("left", "right") for name in names)


def _called(names: Iterable[str], changes: Mapping[str, str], suffix: str = "") -> tuple[str, ...]:
    """Names of ours in the common vocabulary: whole words changed, then a suffix."""
    return tuple(changes.get(name, name) + suffix for name in names)


_HIPS = {"left_hip": "left_hip_extra", "right_hip": "right_hip_extra"}
_TOES = {name.replace("toe", "_toe"): name for name in _sides("bigtoe", "smalltoe")}
_LSP_NAMES = {**_HIPS, "neck": "neck_extra", "head_top": "headtop"}
_H36M_NAMES = {**_LSP_NAMES, "pelvis": "pelvis_extra", "spine": "spine_extra", "jaw": "head_extra"}

SMPL = _called(SMPL_24, {f"spine{number}": f"spine_{number}" for number in (1, 2, 3)})
OPENPOSE = _called(_called(OPENPOSE_25, {**_TOES, "mid_hip": "pelvis"}), {}, "_openpose")
COCO = _called(COCO_17, _HIPS)
H36M = _called(H36M_17, _H36M_NAMES)
LSP = _called(LSP_14, _LSP_NAMES)

_FEET = _sides("bigtoe", "smalltoe", "heel")
_FACE_POINTS = ("nose", "right_eye", "left_eye", "right_ear", "left_ear")
_TIPS = _sides("thumb", "index", "middle", "ring", "pinky")
_EXTRA = (
    *("right_hip_extra", "left_hip_extra", "neck_extra", "headtop", "pelvis_extra"),
    *("thorax_extra", "spine_extra", "jaw_extra", "head_extra"),
)
_THREE, _FIVE = range(1, 4), range(1, 6)
_CONTOUR = _numbered(("face_contour",), range(1, 18))
# The 51 inner points of the 68 that face trackers use, from the person's right to the left.
_FACE = (
    *_numbered(("right_eyebrow",), _FIVE), *_numbered(("left_eyebrow",), reversed(_FIVE)),
    *_numbered(("nosebridge",), range(1, 5)), *_numbered(("nose",), _FIVE),
    *_numbered(("right_eye",), range(1, 7)), *_numbered(("left_eye",), (4, 3, 2, 1, 6, 5)),
    *_numbered(("mouth",), range(1, 13)), *_numbered(("lip",), range(1, 9)),
)  # fmt: skip
_HAND = ("index", "middle", "pinky", "ring", "thumb")
_SPIN_24 = (
    *LSP, "pelvis_extra", "thorax_extra", "spine_extra", "jaw_extra", "head_extra",
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
)  # fmt: skip
_SMPL_45 = (*SMPL, *_FACE_POINTS, *_FEET, *_TIPS)


def _hands_with_tips() -> tuple[str, ...]:
    fingers = _sides("thumb", "index", "middle", "ring", "pinky")
    return tuple(joint for finger in fingers for joint in (*_numbered((finger,), _THREE), finger))


_TABLES: dict[str, tuple[str, ...]] = {
    "smpl": SMPL,
    "smpl_24": _SPIN_24,
    "smpl_45": _SMPL_45,
    "smpl_49": (*OPENPOSE, *_SPIN_24),
    "smpl_54": (*_SMPL_45, *_EXTRA),
    "h36m": H36M,
    "coco": COCO,
    "openpose_25": OPENPOSE,
    "openpose_135": (
        *COCO_17, "neck", "head", *_FEET, *_hands_with_tips(), *_CONTOUR, *_FACE, "right_eyeball", "left_eyeball",
    ),
    "mpi_inf_3dhp": (
        *("spine_3", "spine_4_3dhp", "spine_2", "spine_extra", "pelvis_extra", "neck_extra", "head_extra", "headtop"),
        *("left_clavicle_3dhp", "left_shoulder", "left_elbow", "left_wrist", "left_hand_3dhp"),
        *("right_clavicle_3dhp", "right_shoulder", "right_elbow", "right_wrist", "right_hand_3dhp"),
        *("left_hip_extra", "left_knee", "left_ankle", "left_foot", "left_toe_3dhp"),
        *("right_hip_extra", "right_knee", "right_ankle", "right_foot", "right_toe_3dhp"),
    ),
    "mpi_inf_3dhp_test": (
        *("headtop", "neck_extra", "right_shoulder", "right_elbow", "right_wrist"),
        *("left_shoulder", "left_elbow", "left_wrist", "right_hip_extra", "right_knee", "right_ankle"),
        *("left_hip_extra", "left_knee", "left_ankle", "pelvis_extra", "spine_extra", "head_extra"),
    ),
    "pw3d": (
        *("nose", "neck_extra", "right_shoulder", "right_elbow", "right_wrist"),
        *("left_shoulder", "left_elbow", "left_wrist", "right_hip_extra", "right_knee", "right_ankle"),
        *("left_hip_extra", "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear"),
    ),
    "lsp": LSP,
    "mpii": (
        *LSP[:6], "pelvis_extra", "thorax_extra", "neck_extra", "headtop", *LSP[6:12],
    ),
    "human_data": (
        *SMPL[:22], "jaw", "left_eyeball", "right_eyeball", *_numbered(_sides(*_HAND), _THREE),
        *_FACE_POINTS, *_FEET, *_TIPS, *_FACE, *_CONTOUR, *_EXTRA, *OPENPOSE,
        *("spine_4_3dhp", "left_clavicle_3dhp", "right_clavicle_3dhp", "left_hand_3dhp", "right_hand_3dhp"),
        *("left_toe_3dhp", "right_toe_3dhp", "head_h36m", "headtop_h36m", "head_bottom_pt", "left_hand", "right_hand"),
    ),
}  # fmt: skip
CONVENTIONS: Mapping[str, Convention] = {name: Convention(name, joints) for name, joints in _TABLES.items()}
"""All conventions by their published names."""

_OTHER_NAMES = {"h36m_17": "h36m", "coco_17": "coco", "lsp_14": "lsp", "smpl_joints": "smpl"}

# Faces have points left and right of the middle under one name: those of each list mirror its other end.
_FACE_MIRROR = {
    "nose": {1: 5, 2: 4},
    "mouth": {1: 7, 2: 6, 3: 5, 8: 12, 9: 11},
    "lip": {1: 5, 2: 4, 6: 8},
    "face_contour": {number: 18 - number for number in range(1, 9)},
}
_MIRRORED_POINTS = {
    f"{name}_{a}": f"{name}_{b}"
    for name, pairs in _FACE_MIRROR.items()
    for one, other in pairs.items()
    for a, b in ((one, other), (other, one))
}


def _mirrored(joint: str) -> str:
    for side, other in (("left_", "right_"), ("right_", "left_")):
        if joint.startswith(side):
            return other + joint.removeprefix(side)
    return _MIRRORED_POINTS.get(joint, joint)


SMPL_POSE_FLIP = tuple(3 * joint + axis for joint in mirror_permutation(SMPL_24) for axis in range(3))
"""SMPL's 72 pose numbers mirrored; axes 1 and 2 of each rotation change sign besides."""

J24_TO_J17 = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 18, 14, 16, 17)
"""The seventeen evaluated joints among ``smpl_24``; the first 14 are those of Leeds Sports Pose."""

H36M_TO_J17_UNUSED = (1, 2, 3, 6, 5, 4, 16, 15, 14, 11, 12, 13, 8, 10, 0, 7, 9)
"""The published table that is not in use, for rows of Human3.6M's own order; ``LSP_17`` is the one in use."""
