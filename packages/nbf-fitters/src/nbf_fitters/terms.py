"""Terms of the objective: each gives one unweighted cost a person."""

from __future__ import annotations

import roma
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nbf_core.conventions import KEYPOINT_SETS
from nbf_core.errors import ShapeError
from nbf_core.types import BodyParams

REFERENCE_SIZE = 80.0
"""Keypoint distances are measured in pixels of a map of this size, the published one."""

TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
"""What SMPLify places the camera with."""

HEAD = ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "head_top", "head")


def geman_mcclure(distance: Float[Tensor, "*b"], scale: float) -> Float[Tensor, "*b"]:
    """``scale^2 d^2 / (scale^2 + d^2)``: the square of small distances, never more than ``scale^2``."""
    square = distance.square()
    return scale**2 * square / (scale**2 + square)


def clean_keypoints(keypoints: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n 3"]:
    """The same keypoints with confidences in [0, 1]; those with anything not finite become zeros."""
    finite = keypoints.isfinite().all(-1, keepdim=True)
    clean = torch.where(finite, keypoints, 0)
    return torch.cat([clean[..., :2], clean[..., 2:].clamp(0, 1)], dim=-1)


def usable_keypoints(
    keypoints: Float[Tensor, "b n 3"],
    keypoint_set: str,
    min_confidence: float = 0.2,
    min_count: int = 7,
    needs_head: bool = False,
) -> Bool[Tensor, "b"]:
    """For whom keypoints may be used: somebody with ``min_count`` of them over the limit, and with ``needs_head``
    (published) one of the head among them.

    Raises ShapeError for an unknown set or another number of keypoints than it has.
    """
    names = KEYPOINT_SETS.get(keypoint_set)
    if names is None:
        raise ShapeError(f"keypoint_set {keypoint_set!r}: unknown; choices: {', '.join(KEYPOINT_SETS)}")
    if keypoints.shape[-2:] != (len(names), 3):
        raise ShapeError(
            f"keypoints: expected shape [b, {len(names)}, 3] for {keypoint_set}, got {tuple(keypoints.shape)}"
        )
    sure = keypoints[..., 2] > min_confidence
    enough = sure.sum(-1) >= min_count
    if needs_head:
        enough &= sure[..., [i for i, name in enumerate(names) if name in HEAD]].any(-1)
    return enough


def keypoint_cost(
    projected: Float[Tensor, "b n 2"],
    keypoints: Float[Tensor, "b n 3"],
    scale: float = 100.0,
    pixel: float = 1.0,
) -> Float[Tensor, "b"]:
    """Confidence-weighted mean over keypoints of the Geman-McClure distances in x and y.

    ``pixel`` is the size of one map pixel in the pixels that ``scale`` is given in. People whose keypoints
    have no confidence cost 0.
    """
    distance = (projected - keypoints[..., :2]) * pixel
    confidence = keypoints[..., 2]
    # A keypoint that counts for nothing must not spoil the gradient, wherever it is.
    distance = torch.where(confidence[..., None] > 0, distance, 0)
    cost = geman_mcclure(distance, scale).sum(-1)
    return (confidence * cost).sum(-1) / (confidence.sum(-1) + 1e-8)


def unit_quaternions(params: BodyParams) -> Float[Tensor, "b j 4"]:
    """All rotations of a body as unit quaternions, the root first."""
    return roma.rotvec_to_unitquat(torch.cat([params.global_orient[..., None, :], params.body_pose], dim=-2))


def rotation_distance(first: Float[Tensor, "*#b 4"], second: Float[Tensor, "*#b 4"]) -> Float[Tensor, "..."]:
    """``4 sin^2(angle / 2)`` between two rotations: the squared angle where small, and smooth.

    Of unit quaternions, the angle of whose half is their inner product.
    """
    return 4 * (1 - (first * second).sum(-1).square())


def anchor_cost(params: BodyParams, start: BodyParams) -> Float[Tensor, "b"]:
    """How far all rotations have gone from the start, root included, in squared radians."""
    return rotation_distance(unit_quaternions(params), unit_quaternions(start)).sum(-1)


def depth_cost(params: BodyParams, start: BodyParams) -> Float[Tensor, "b"]:
    """Squared change of the depth, as a share of it (SMPLify's hold on the camera)."""
    ratio = params.transl[..., 2].clamp_min(1e-6) / start.transl[..., 2].clamp_min(1e-6)
    return ratio.log().square()


def silhouette_cost(drawn: Float[Tensor, "b h w"], seen: Float[Tensor, "b h w"]) -> Float[Tensor, "b"]:
    """One minus the intersection over union of two soft masks."""
    both = (drawn * seen).flatten(1).sum(-1)
    either = (drawn + seen).flatten(1).sum(-1) - both
    return 1 - both / either.clamp_min(1e-6)


def turning_cost(turns: Float[Tensor, "b j 4"], frames: Int[Tensor, "b"]) -> Float[Tensor, "b"]:
    """Squared rotation (radians, over all joints) from the frame before, of unit quaternions.

    Frames of one person, numbered by ``frames``; one without its predecessor costs nothing.
    """
    follows = (frames[1:] - frames[:-1] == 1).to(turns)
    return torch.nn.functional.pad(follows * rotation_distance(turns[1:], turns[:-1]).sum(-1), (1, 0))


def acceleration_cost(joints: Float[Tensor, "b j 3"], frames: Int[Tensor, "b"]) -> Float[Tensor, "b"]:
    """Mean squared second difference of the joints over a frame and the two before it, in squared centimetres.

    Relative to the root: its depth, which one picture hardly tells, would outweigh all the rest. A frame without two
    predecessors costs nothing.
    """
    if len(joints) < 3:
        return joints.sum((1, 2)) * 0
    follows = (frames[2:] - frames[:-2] == 2).to(joints)
    local = joints - joints[:, :1]
    bend = (local[2:] - 2 * local[1:-1] + local[:-2]).square().sum(-1).mean(-1)
    return torch.nn.functional.pad(1e4 * follows * bend, (2, 0))
