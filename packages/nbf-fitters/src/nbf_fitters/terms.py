"""Terms of the objective: each gives one unweighted cost a person."""

from __future__ import annotations

import roma
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.conventions import KEYPOINT_SETS
from nbf_core.errors import ShapeError
from nbf_core.types import BodyParams

REFERENCE_SIZE = 80.0
"""Keypoint distances are measured in pixels of a map of this size, the published one."""

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
    keypoints: Float[Tensor, "b n 3"], keypoint_set: str, min_confidence: float = 0.2, min_count: int = 7
) -> Bool[Tensor, "b"]:
    """For whom keypoints may be used: somebody with a head keypoint and ``min_count`` in all over the limit.

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
    head = sure[..., [i for i, name in enumerate(names) if name in HEAD]].any(-1)
    return head & (sure.sum(-1) >= min_count)


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


def rotation_distance(first: Float[Tensor, "*b 3"], second: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b"]:
    """``4 sin^2(angle / 2)`` between two axis-angle rotations: the squared angle where small, and smooth."""
    difference = roma.rotvec_to_rotmat(first) - roma.rotvec_to_rotmat(second)
    return 0.5 * difference.square().sum((-2, -1))


def anchor_cost(params: BodyParams, start: BodyParams) -> Float[Tensor, "b"]:
    """How far all rotations have gone from the start, root included, in squared radians."""
    root = rotation_distance(params.global_orient, start.global_orient)
    return root + rotation_distance(params.body_pose, start.body_pose).sum(-1)


def smooth_cost(params: BodyParams) -> Float[Tensor, "b"]:
    """Squared rotation from the frame before, where the batch holds consecutive frames; the first costs 0."""
    if len(params.global_orient) < 2:
        return params.global_orient.sum(-1) * 0
    return torch.nn.functional.pad(anchor_cost(params[1:], params[:-1]), (1, 0))
