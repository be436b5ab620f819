"""The joints of SMPL, SMPL-H and SMPL-X in the order of their files, and what belongs together."""

from __future__ import annotations

from nbf_core.conventions import SMPL_24

_BODY = SMPL_24[:22]
_FINGERS = ("index", "middle", "pinky", "ring", "thumb")


def _hand(side: str) -> tuple[str, ...]:
    return tuple(f"{side}_{finger}{number}" for finger in _FINGERS for number in (1, 2, 3))


_HANDS = (*_hand("left"), *_hand("right"))
JOINT_NAMES: dict[str, tuple[str, ...]] = {
    "smpl": SMPL_24,
    "smplh": (*_BODY, *_HANDS),
    "smplx": (*_BODY, "jaw", "left_eye", "right_eye", *_HANDS),
}
"""By kind of body; a joint's mirror image is found by its name."""

TITLES = {"smpl": "SMPL", "smplh": "SMPL-H", "smplx": "SMPL-X"}


def body_joint(name: str) -> str:
    """The joint of SMPL's 24 that moves what this joint moves, where fingers and face are not posed on their own."""
    if name in SMPL_24:
        return name
    return "head" if name in ("jaw", "left_eye", "right_eye") else f"{name.partition('_')[0]}_hand"


# Where SMPL-H and SMPL-X have fingers, a hand turns about the root of its middle one.
HAND_ROOTS = {"left_hand": "left_middle1", "right_hand": "right_middle1"}

# Index into nbf_core.conventions.LIMBS for each of SMPL_24: hands go with the lower arm, feet with the calf.
LIMB_OF_JOINT = (0, 3, 7, 0, 4, 8, 0, 4, 8, 0, 4, 8, 0, 0, 0, 0, 2, 6, 1, 5, 1, 5, 1, 5)

# Names in the table of the package smplx, and in the common vocabulary of keypoints.
VERTEX_NAMES = {
    "nose": "nose", "reye": "right_eye", "leye": "left_eye", "rear": "right_ear", "lear": "left_ear",
    "LBigToe": "left_bigtoe", "LSmallToe": "left_smalltoe", "LHeel": "left_heel",
    "RBigToe": "right_bigtoe", "RSmallToe": "right_smalltoe", "RHeel": "right_heel",
    **{f"{side[0]}{finger}": f"{side}_{finger}" for side in ("left", "right")
       for finger in ("thumb", "index", "middle", "ring", "pinky")},
}  # fmt: skip
VERTEX_COUNTS = {6890: "smplh", 10475: "smplx"}
"""Numbers of vertices of the published meshes, and where smplx lists their named vertices; SMPL's are SMPL-H's."""

EXTRA = (
    "right_hip_extra", "left_hip_extra", "neck_extra", "headtop", "pelvis_extra", "thorax_extra", "spine_extra",
    "jaw_extra", "head_extra",
)  # fmt: skip
"""The rows of ``J_regressor_extra.npy``."""
