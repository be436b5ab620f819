"""The joints that benchmarks measure, taken out of a body's."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from nbf_core.conventions import PELVIS, JointSet


def evaluation_joints(h36m: Float[Tensor, "b 17 3"], joints: JointSet) -> Float[Tensor, "b n 3"]:
    """The set's joints out of the keypoint set ``h36m-17`` (metres), centred on its pelvis.

    The published seventeen-joint evaluation centres prediction and truth on different points; here both are
    centred in the same way, whatever the set.
    """
    return h36m[:, list(joints.of_h36m)] - h36m[:, PELVIS : PELVIS + 1]


def joint_visibility(body: Float[Tensor, "b 24"], joints: JointSet) -> Float[Tensor, "b n"]:
    """Visibility of the set's joints from that of the body's 24, as samples tell it."""
    return body[:, list(joints.of_body)]
