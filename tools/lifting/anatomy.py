"""What a lift is told of a body before it learns: its limbs, where its parts end, which keypoints are near."""

from __future__ import annotations

import torch
from torch import Tensor

from nbf_core.contracts import BodyModel
from nbf_core.conventions import OPENPOSE_25
from nbf_core.types import BodySpec
from nbf_fitters.lift.evidence import REACH
from nbf_fitters.lift.network import LiftNetwork

ARM = ("shoulder", "elbow", "wrist", "hand")
LEG = ("hip", "knee", "ankle", "foot")

LIMBS = (
    ("left_", ("collar", *ARM), 0.35),
    ("right_", ("collar", *ARM), 0.35),
    ("left_", LEG, 0.3),
    ("right_", LEG, 0.3),
    ("", ("spine1", "spine2", "spine3"), 0.2),
    ("", ("neck", "head"), 0.2),
)
"""Joints that simulated people take from another pose together, and the share of people that do."""

NEAR = {
    "pelvis": ("mid_hip", "mid_hip"), "hip": ("hip", "knee"), "knee": ("knee", "ankle"), "ankle": ("ankle", "heel"),
    "foot": ("big_toe", "small_toe"), "spine1": ("mid_hip", "neck"), "spine2": ("mid_hip", "neck"),
    "spine3": ("mid_hip", "neck"), "neck": ("neck", "nose"), "head": ("nose", "nose"), "collar": ("neck", "shoulder"),
    "shoulder": ("shoulder", "elbow"), "elbow": ("elbow", "wrist"), "wrist": ("wrist", "wrist"),
    "hand": ("wrist", "wrist"),
}  # fmt: skip
"""The keypoints that a part's token is told beside its own evidence; of its side where they have one."""

_POINT = {name: index for index, name in enumerate(OPENPOSE_25)}


def limbs(spec: BodySpec) -> tuple[tuple[tuple[int, ...], float], ...]:
    """``LIMBS`` by the numbers of their joints."""
    return tuple((tuple(spec.joint_names.index(side + name) for name in names), share) for side, names, share in LIMBS)


def new_network(body: BodyModel, rest: Tensor, width: int) -> LiftNetwork:
    """A network that knows where the parts of ``body`` end and which keypoints are near; ``rest`` are its joints."""
    spec = body.spec
    network = LiftNetwork(spec.parents, spec.shapes, width)
    for joint, name in enumerate(spec.joint_names):
        children = [child for child, parent in enumerate(spec.parents) if parent == joint]
        if children:
            network.ends[joint] = (rest[children].mean(0) - rest[joint]) / REACH
        side = next((side for side in ("left_", "right_") if name.startswith(side)), "")
        near = NEAR[name.removeprefix(side)]
        network.near[joint] = torch.tensor([_POINT.get(side + point, _POINT.get(point)) for point in near])
    return network
