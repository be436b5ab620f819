"""Where a fit begins: the estimate, the estimate turned onto the keypoints, and its two-sided twin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from nbf_core.contracts import BodyModel
from nbf_core.conventions import KEYPOINT_SETS
from nbf_core.types import BodyParams, Observation
from nbf_fitters.alignment import align_rigid, align_translation
from nbf_fitters.records import pick
from nbf_fitters.terms import REFERENCE_SIZE

TORSO = ("neck", "left_shoulder", "right_shoulder", "left_hip", "right_hip", "mid_hip", "pelvis", "nose")
LIMB_WEIGHT = 0.3
"""How much a keypoint off the torso counts in rigid alignment: limbs move, torsos hardly do."""

ALIGN_SCALE = 12.0
"""Geman-McClure scale of rigid alignment, in pixels of a map of 80."""

TURNS = (0.0, 0.5 * math.pi, math.pi, 1.5 * math.pi)


def two_sided(params: BodyParams, mirror_joints: Sequence[int]) -> BodyParams:
    """The twin that looks alike from the camera: left and right exchanged, and depth reversed about the root.

    For an upright body on the optical axis this is the turn by 180 degrees about its vertical axis with the
    mirrored pose; written as ``(I - 2 d d') R diag(-1, 1, 1)`` with ``d`` the unit ray to the person it holds
    for a leaning body and beside the axis as well. Twice gives the start.
    """
    order = [mirror_joints[joint] - 1 for joint in range(1, len(mirror_joints))]
    flip = params.body_pose.new_tensor([1.0, -1.0, -1.0])
    rotation = roma.rotvec_to_rotmat(params.global_orient)
    distance = params.transl.norm(dim=-1, keepdim=True)
    ray = torch.where(distance > 0, params.transl / distance, params.transl.new_tensor([0.0, 0.0, 1.0]))
    mirror = torch.eye(3, dtype=ray.dtype, device=ray.device) - 2 * ray[..., :, None] * ray[..., None, :]
    side = rotation.new_tensor([-1.0, 1.0, 1.0])
    return replace(
        params,
        global_orient=roma.rotmat_to_rotvec(mirror @ rotation * side),
        body_pose=params.body_pose[..., order, :] * flip,
    )


def placed(params: BodyParams, body: BodyModel, observation: Observation) -> BodyParams:
    """The same body moved (not turned) onto the keypoints, where there are enough of them."""
    points = body.keypoints(body(params, vertices=False), observation.keypoint_set)
    transl = align_translation(points, params.transl, observation.keypoints, observation.camera)
    return replace(params, transl=transl)


def aligned(params: BodyParams, body: BodyModel, observation: Observation) -> BodyParams:
    """The same pose turned and moved onto the keypoints, the best of four turns about the body's own axis."""
    weights = alignment_weights(observation)
    scale = ALIGN_SCALE * max(observation.camera.size) / REFERENCE_SIZE
    best, best_cost = params, torch.full_like(params.transl[:, 0], torch.inf)
    for angle in TURNS:
        turn = params.global_orient.new_tensor([0.0, angle, 0.0]).expand_as(params.global_orient)
        turned = replace(params, global_orient=roma.rotvec_composition([params.global_orient, turn]))
        output = body(turned, vertices=False)
        points = body.keypoints(output, observation.keypoint_set)
        transl = align_translation(points, turned.transl, weights, observation.camera)
        points, root = (
            points + (transl - turned.transl)[:, None],
            output.joints[:, 0] + transl - turned.transl,
        )
        rotation, place, cost = align_rigid(points, root, weights, observation.camera, scale)
        candidate = replace(
            turned,
            global_orient=roma.rotvec_composition([rotation, turned.global_orient]),
            transl=transl + place - root,
        )
        better = cost < best_cost
        best, best_cost = pick(better, candidate, best), torch.where(better, cost, best_cost)
    return best


def alignment_weights(observation: Observation) -> Float[Tensor, "b n 3"]:
    """The keypoints, with those off the torso trusted less."""
    names = KEYPOINT_SETS[observation.keypoint_set]
    trust = observation.keypoints.new_tensor([1.0 if name in TORSO else LIMB_WEIGHT for name in names])
    return torch.cat([observation.keypoints[..., :2], observation.keypoints[..., 2:] * trust[:, None]], dim=-1)


def make_starts(
    names: Sequence[str],
    params: BodyParams,
    body: BodyModel,
    observation: Observation,
    with_keypoints: bool,
    place: bool = True,
) -> dict[str, BodyParams]:
    """The starts asked for, by name; without keypoints nothing is moved, and ``aligned`` is left out.

    ``place`` moves estimate and twin onto the keypoints.
    """
    starts = {}
    for name in names:
        if name == "aligned":
            if with_keypoints:
                starts[name] = aligned(params, body, observation)
            continue
        start = params if name == "estimate" else two_sided(params, body.spec.mirror_joints)
        starts[name] = placed(start, body, observation) if with_keypoints and place else start
    return starts or {"estimate": params}


def without_wild_shapes(params: BodyParams, limit: float | None) -> BodyParams:
    """The mean shape for whoever has a component beyond ``limit`` standard deviations (3DNBF)."""
    if limit is None:
        return params
    wild = (params.betas.abs() > limit).any(-1, keepdim=True)
    return replace(params, betas=torch.where(wild, 0.0, params.betas))
