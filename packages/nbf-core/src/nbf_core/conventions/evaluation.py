"""The joints that benchmarks measure: 14 of Leeds Sports Pose, or these and three more, out of Human3.6M's 17."""

from __future__ import annotations

from dataclasses import dataclass

from nbf_core.conventions.keypoints import H36M_17, SMPL_24

LSP_14 = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist",
    "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck", "head_top",
)  # fmt: skip
"""The 14 joints of Leeds Sports Pose; the last two are the head segment that PCKh measures by."""

LSP_17 = (*LSP_14, "pelvis", "spine", "jaw")
"""All joints of ``h36m-17``, in the order in which seventeen-joint evaluation lists them."""

# The body's joint whose visibility stands for a joint that is not one of its own.
_SEEN_WITH = {"head_top": "head", "jaw": "head", "spine": "spine2"}


@dataclass(frozen=True)
class JointSet:
    """Joints to measure. ``of_h36m`` are their rows of the keypoint set ``h36m-17``.

    ``of_body`` gives, for each, the body's joint (of 24) that is visible or hidden together with it. Joints are
    centred on row ``PELVIS`` of ``h36m-17``, prediction and truth alike.
    """

    name: str
    joints: tuple[str, ...]

    @property
    def of_h36m(self) -> tuple[int, ...]:
        return tuple(H36M_17.index(name) for name in self.joints)

    @property
    def of_body(self) -> tuple[int, ...]:
        return tuple(SMPL_24.index(_SEEN_WITH.get(name, name)) for name in self.joints)


PELVIS = H36M_17.index("pelvis")

JOINT_SETS = {"lsp-14": JointSet("lsp-14", LSP_14), "lsp-17": JointSet("lsp-17", LSP_17)}
