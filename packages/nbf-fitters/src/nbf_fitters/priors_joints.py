"""Priors on single joints in the published forms: bends of elbows and knees, limits, a spine that bends one way."""

from __future__ import annotations

import math

import roma
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from nbf_core.errors import ShapeError
from nbf_core.types import BodyParams
from nbf_fitters.config import JointConfig, JointLimitsConfig, SmoothJointsConfig

# Body joints (joint - 1) whose neighbours are compared: SMPL's spine. The published table counts with the root,
# the pose it is applied to has none: it meets the left knee, ankle and foot.
SPINE = {"spine": (2, 5, 8), "published": (3, 6, 9)}


class JointPrior:
    """The joint prior of 3DNBF: ``exp(-|u|)^2`` of four components ``u`` of normalised axis-angles.

    They are the left and right elbows' y and the left and right knees' x. Turning about exactly that axis costs
    least, whichever way and however far; ``joint-angle`` is the prior that tells forwards from backwards. With
    ``smooth_spine`` comes ``(exp(relu(-v w)) - 1)^2`` for the components of neighbouring spine joints: bending
    in opposite directions costs.
    """

    # Body joint (joint - 1) and axis.
    COMPONENTS = ((17, 1), (18, 1), (3, 0), (4, 0))

    def __init__(self, config: JointConfig):
        self.config = config

    def terms(self, params: BodyParams) -> Float[Tensor, "b n"]:
        """Each component's cost: four, and six of the spine."""
        pose = _with_joints(params, 19, "joint")
        joints, axes = zip(*self.COMPONENTS, strict=True)
        cost = torch.exp(-F.normalize(pose, dim=-1)[..., joints, axes].abs()).square()
        if self.config.smooth_spine == "off":
            return cost
        low, middle, high = (pose[..., joint, :] for joint in SPINE[self.config.smooth_spine])
        opposed = torch.cat([-low * middle, -middle * high], dim=-1).clamp_min(0)
        return torch.cat([cost, self.config.smooth_spine_weight * torch.expm1(opposed).square()], dim=-1)

    def __call__(self, params: BodyParams) -> Float[Tensor, "b"]:
        return self.terms(params).sum(-1)


# How a joint's angles are told apart: the axis-angle's components, signed and one-based, that become the joint's own
# x (bending forwards), y and z; then the limits in degrees of the turns about them, x first. Axes and limits are
# those of MMHuman3D's standard joint angles (OpenMMLab, Apache-2.0).
_LEG, _TRUNK, _FOOT, _LEFT, _RIGHT = (1, 3, -2), (1, -3, 2), (1, 2, 3), (-3, 2, 1), (3, 2, -1)
JOINT_LIMITS = (
    ("left_hip", _LEG, (-45, 155), (-88, 17), (-105, 85)),
    ("right_hip", _LEG, (-45, 155), (-17, 88), (-85, 105)),
    ("spine1", _TRUNK, (-25, 15), (-20, 20), (-30, 30)),
    ("left_knee", _LEG, (0, 150), (0, 0), (0, 0)),
    ("right_knee", _LEG, (0, 150), (0, 0), (0, 0)),
    ("spine2", _TRUNK, (-25, 15), (-15, 15), (-25, 25)),
    ("left_ankle", _FOOT, (-31, 63), (-26, 26), (-74, 15)),
    ("right_ankle", _FOOT, (-31, 63), (-26, 26), (-15, 74)),
    ("spine3", _TRUNK, (-25, 15), (-15, 15), (-25, 25)),
    ("left_foot", _FOOT, (-60, 45), (0, 0), (-45, 45)),
    ("right_foot", _FOOT, (-60, 45), (0, 0), (-45, 45)),
    ("neck", _TRUNK, (-37, 22), (-30, 30), (-45, 45)),
    ("left_collar", _LEFT, (-30, 30), (-30, 10), (0, 0)),
    ("right_collar", _RIGHT, (-30, 30), (-10, 30), (0, 0)),
    ("head", _TRUNK, (-37, 22), (-30, 30), (-45, 45)),
    ("left_shoulder", _LEFT, (-90, 135), (-97, 91), (-90, 135)),
    ("right_shoulder", _RIGHT, (-135, 90), (-91, 97), (-135, 90)),
    ("left_elbow", _LEFT, (0, 0), (-150, 0), (0, 0)),
    ("right_elbow", _RIGHT, (0, 0), (0, 150), (0, 0)),
    ("left_wrist", _LEFT, (-90, 90), (-45, 45), (-180, 60)),
    ("right_wrist", _RIGHT, (-90, 90), (-45, 45), (-60, 180)),
)


class JointLimitsPrior:
    """Every joint within its limits: ``(exp(excess) - 1)^2`` of each angle's excess over them, in radians.

    The angles are Euler angles about the joint's own x, then y, then z. As published, and so with its faults: y
    stays within a quarter turn, where the other two lose their meaning, so an elbow bent by a right angle or more is
    punished; and the left shoulder's limits are no mirror of the right one's. Hands, where there are any, are free.
    """

    def __init__(self, config: JointLimitsConfig):
        axes = torch.tensor([row[1] for row in JOINT_LIMITS])
        self.component, self.sign = axes.abs() - 1, axes.sign()
        slack = torch.tensor([-config.slack, config.slack])
        limits = torch.tensor([row[2:] for row in JOINT_LIMITS], dtype=torch.float64) + slack
        self.lower, self.upper = (limits * (math.pi / 180)).unbind(-1)

    def terms(self, params: BodyParams) -> Float[Tensor, "b n"]:
        """The cost of each of 21 joints' three angles, joint by joint."""
        pose = _with_joints(params, len(JOINT_LIMITS), "joint-limits")[..., : len(JOINT_LIMITS), :]
        component, sign = self.component.to(pose.device).expand(pose.shape), self.sign.to(pose)
        angles = _euler(roma.rotvec_to_rotmat(pose.gather(-1, component) * sign))
        excess = (self.lower.to(pose) - angles).clamp_min(0) + (angles - self.upper.to(pose)).clamp_min(0)
        return torch.expm1(excess).square().flatten(-2)

    def __call__(self, params: BodyParams) -> Float[Tensor, "b"]:
        return self.terms(params).sum(-1)


class SmoothJointsPrior:
    """Takes the batch for consecutive frames of one person: what body joints turn from the frame before.

    The sum of absolute differences of the first two rows of each joint's rotation matrix; the first frame costs
    nothing.
    """

    def __init__(self, config: SmoothJointsConfig):
        self.config = config

    def __call__(self, params: BodyParams) -> Float[Tensor, "b"]:
        rows = roma.rotvec_to_rotmat(params.body_pose)[..., :2, :].flatten(1)
        # Each row against the one before, the first against itself: nobody is zero rows, not one.
        return (rows - torch.cat([rows[:1], rows[:-1]])).abs().sum(-1)


def _euler(rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3"]:
    """Angles x, y, z of ``rotation = Rx Ry Rz``; y within a quarter turn."""
    cosine = (rotation[..., 0, 0].square() + rotation[..., 0, 1].square()).clamp_min(1e-14).sqrt()
    y = torch.atan2(rotation[..., 0, 2], cosine)
    # With y at a quarter turn x and z turn about the same axis; there the gradient has no direction, but must exist.
    locked = cosine < 1e-6
    x = torch.atan2(-rotation[..., 1, 2], rotation[..., 2, 2].masked_fill(locked, 1))
    z = torch.atan2(-rotation[..., 0, 1], rotation[..., 0, 0].masked_fill(locked, 1))
    return torch.stack([x, y, z], dim=-1)


def _with_joints(params: BodyParams, joints: int, prior: str) -> Float[Tensor, "b j 3"]:
    pose = params.body_pose
    if pose.shape[-2] < joints:
        raise ShapeError(f"body_pose: the {prior} prior needs SMPL's first {joints} joints, got {tuple(pose.shape)}")
    return pose
