"""Orientation bins: which of ``O`` features a kernel shows, by its limb's direction (3DNBF, section 3.2).

A limb's direction is the unit vector between two OpenPose-25 keypoints in camera coordinates; ``p`` is its
z component, positive where the limb points away from the camera. Fitting uses soft weights, which are
differentiable; training uses hard labels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from nbf_core.conventions import LIMB_JOINTS
from nbf_core.errors import ShapeError

SHARPNESS = 10.0
"""The published slope theta of the soft weights' sigmoids."""

IN_PLANE = 0.3
"""With three bins a limb with ``|p|`` up to this lies in the image plane."""


def limb_directions(keypoints: Float[Tensor, "*b 25 3"]) -> Float[Tensor, "*b 9 3"]:
    """Unit directions of the nine limbs from OpenPose-25 keypoints in camera coordinates.

    A limb without length gets the zero vector. Raises ShapeError unless there are 25 keypoints or more.
    """
    if keypoints.shape[-1] != 3 or keypoints.shape[-2] < 25:
        raise ShapeError(f"keypoints: expected shape [..., 25, 3], got {tuple(keypoints.shape)}")
    starts, ends = zip(*LIMB_JOINTS, strict=True)
    return F.normalize(keypoints[..., ends, :] - keypoints[..., starts, :], dim=-1)


def orientation_weights(
    directions: Float[Tensor, "*b n 3"], orientations: int, sharpness: float = SHARPNESS
) -> Float[Tensor, "*b n o"]:
    """Soft membership of each direction in each of ``orientations`` bins; differentiable.

    One bin: 1. Two: towards (away from the camera), against. Three: in the image plane, away, towards the
    camera. More: bins of equal angle over the angle to the z axis.
    """
    p = directions[..., 2]
    if orientations == 1:
        return torch.ones_like(p)[..., None]
    if orientations == 2:
        return torch.stack([torch.sigmoid(sharpness * p), torch.sigmoid(-sharpness * p)], dim=-1)
    if orientations == 3:
        away = torch.sigmoid(sharpness * (p - IN_PLANE))
        towards = torch.sigmoid(sharpness * (-p - IN_PLANE))
        flat = torch.sigmoid(sharpness * (p + IN_PLANE)) + torch.sigmoid(sharpness * (IN_PLANE - p)) - 1
        return torch.stack([flat, away, towards], dim=-1)
    # Just inside the domain: the slope of the arc cosine is infinite at its ends.
    angle = torch.arccos(p.clamp(-1 + 1e-6, 1 - 1e-6))[..., None]
    low = torch.arange(_positive(orientations), dtype=p.dtype, device=p.device) * (math.pi / orientations)
    high = low + math.pi / orientations
    return torch.sigmoid(sharpness * (angle - low)) + torch.sigmoid(sharpness * (high - angle)) - 1


def orientation_labels(directions: Float[Tensor, "*b n 3"], orientations: int) -> Int[Tensor, "*b n"]:
    """The bin of each direction, an index below ``orientations``, in the order of the soft weights."""
    p = directions[..., 2]
    if orientations == 2:
        return (p < 0).long()
    if orientations == 3:
        return (p > IN_PLANE).long() + 2 * (p < -IN_PLANE).long()
    angle = torch.arccos(p.clamp(-1, 1)).clamp(0, math.pi - 1e-3)
    return (angle / (math.pi / _positive(orientations))).long()


def kernel_orientation_weights(
    keypoints: Float[Tensor, "*b 25 3"],
    kernel_limbs: Int[Tensor, "k"],
    orientations: int,
    sharpness: float = SHARPNESS,
) -> Float[Tensor, "*b k o"]:
    """Soft weights of every kernel, each taken from its limb (``BodySpec.kernel_limbs``)."""
    weights = orientation_weights(limb_directions(keypoints), orientations, sharpness)
    return weights.index_select(-2, kernel_limbs)


def kernel_orientation_labels(
    keypoints: Float[Tensor, "*b 25 3"], kernel_limbs: Int[Tensor, "k"], orientations: int
) -> Int[Tensor, "*b k"]:
    """Hard labels of every kernel, each taken from its limb (``BodySpec.kernel_limbs``)."""
    labels = orientation_labels(limb_directions(keypoints), orientations)
    return labels.index_select(-1, kernel_limbs)


def _positive(orientations: int) -> int:
    if orientations < 1:
        raise ValueError(f"orientations: expected 1 or more, got {orientations}")
    return orientations
