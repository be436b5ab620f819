"""From what is seen and expected to the arrays that the solvers take."""

from __future__ import annotations

import roma
import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbf_core.conventions import LIMB_JOINTS
from nbf_core.geometry.camera import central_ray_rotation
from nbf_core.geometry.orientation import IN_PLANE
from nbf_core.types import BodyParams, Camera, Observation
from nbf_fitters.correspondence.config import CorrespondenceConfig
from nbf_fitters.correspondence.matching import Matches, Pixels
from nbf_fitters.correspondence.records import Body, Evidence, Limbs, Points, Prior, State, View
from nbf_fitters.correspondence.tables import SkinnedPoints, Tables
from nbf_fitters.terms import REFERENCE_SIZE
from nbf_fitters.variables import nearest_depth

LIMB_PIXELS = 5
"""Pixels that must show a limb before its direction is held to the orientation bin they were seen in."""

LIMB_SHARE = 0.6
"""The share of those pixels that must agree on the bin."""

PLACE_WEIGHT = 1e-4
"""Weight (1 / m^2) of the start's place across the ray: nothing, but for those of whom nothing is seen."""


def to_state(params: BodyParams) -> State:
    """Body parameters as a solver's state, in float64."""
    turns = torch.cat([params.global_orient[:, None], params.body_pose], dim=1).double()
    return State(roma.rotvec_to_rotmat(turns), params.transl.double(), params.betas.double())


def to_params(state: State, like: BodyParams) -> BodyParams:
    """The reverse, in the dtype of ``like``."""
    turns = roma.rotmat_to_rotvec(state.rotations)
    params = BodyParams(turns[:, 0], turns[:, 1:], state.betas, state.shift)
    return params.to(like.transl.device, like.transl.dtype)


def body_record(tables: Tables) -> Body:
    """The skeleton."""
    base = tables.base
    device = tables.joints.device
    return Body(
        parents=torch.tensor(tables.parents, device=device),
        joints=tables.joints.double(),
        joint_directions=tables.joint_directions.double(),
        base_rest=base.rest.double(),
        base_directions=base.directions.double(),
        base_weights=base.weights.double(),
    )


def view(camera: Camera) -> View:
    """The cameras, with the ray that orientation bins are relative to."""
    ray = central_ray_rotation(camera)[..., 2]
    return View(camera.focal.double(), camera.center.double(), ray.double(), nearest_depth(camera).double())


def pad(values: Tensor, person: Int[Tensor, "n"], people: int) -> Tensor:
    """Rows sorted by person as [b, most, ...], zeros after the last of each."""
    counts = torch.bincount(person, minlength=people)
    most = max(1, int(counts.max())) if people else 1
    start = counts.cumsum(0) - counts
    slot = torch.arange(len(person), device=person.device) - start[person]
    out = values.new_zeros(people, most, *values.shape[1:])
    out[person, slot] = values
    return out


def evidence(pixels: Pixels, points: SkinnedPoints, people: int, trust: Float[Tensor, "n"]) -> Evidence:
    """Pixels and the points they show, padded; ``trust`` is the weight of each."""
    values = (pixels.place, points.rest, points.directions, points.weights, trust)
    return Evidence(*(pad(value.double(), pixels.person, people) for value in values))


def bin_range(orientations: int, device) -> Float[Tensor, "o 2"]:
    """Least and greatest share along the ray of limbs in each orientation bin."""
    if orientations == 1:
        ranges = [(-1.0, 1.0)]
    elif orientations == 2:
        ranges = [(0.0, 1.0), (-1.0, 0.0)]
    elif orientations == 3:
        ranges = [(-IN_PLANE, IN_PLANE), (IN_PLANE, 1.0), (-1.0, -IN_PLANE)]
    else:
        edges = torch.cos(torch.linspace(0, torch.pi, orientations + 1)).tolist()
        ranges = list(zip(edges[1:], edges[:-1], strict=True))
    return torch.tensor(ranges, dtype=torch.float64, device=device)


def limbs_seen(pixels: Pixels, matches: Matches, tables: Tables, weights: Tensor, people: int, weight: float) -> Limbs:
    """The orientation bin in which each limb was seen, where enough pixels agree.

    ``weights`` are those of OpenPose-25 over joints and markers.
    """
    orientations = tables.features.shape[1]
    limb = tables.limbs[matches.label // orientations]
    count = torch.zeros(people, len(LIMB_JOINTS), orientations, dtype=torch.float64, device=limb.device)
    where = (pixels.person, limb, matches.label % orientations)
    count.index_put_(where, torch.ones_like(pixels.clutter, dtype=count.dtype), accumulate=True)
    total = count.sum(-1)
    most, seen = count.max(-1)
    known = (total >= LIMB_PIXELS) & (most > LIMB_SHARE * total)
    edges = bin_range(orientations, limb.device)[seen]
    ends = torch.tensor(LIMB_JOINTS, device=weights.device)
    combination = (weights[ends[:, 1]] - weights[ends[:, 0]]).double()
    return Limbs(combination, edges[..., 0].contiguous(), edges[..., 1].contiguous(), weight * known)


def keypoint_record(
    config: CorrespondenceConfig, observation: Observation, weights: Tensor, usable: Tensor, joints: tuple[int, ...]
) -> Points:
    """Detected keypoints of those people for whom they are ``usable``; then ``joints``, nothing known of them yet."""
    people = len(observation.features)
    more = weights.new_zeros(len(joints), weights.shape[1]).double()
    more[torch.arange(len(joints)), list(joints)] = 1
    nothing = more.new_zeros(people, len(joints), 2)
    if observation.keypoints is None:
        return Points(more, nothing, nothing[..., 0])
    pixel = REFERENCE_SIZE / max(observation.camera.size)
    given = observation.keypoints.double()
    trust = config.keypoint_weight * pixel**2 * given[..., 2] * usable[:, None]
    place = torch.cat([given[..., :2], nothing], dim=1)
    return Points(torch.cat([weights.double(), more]), place, torch.cat([trust, nothing[..., 0]], dim=1))


def prior_record(config: CorrespondenceConfig, state: State, gaussian: tuple[Tensor, Tensor] | None) -> Prior:
    """What is expected; ``gaussian`` is mean and weighted precision of the pose."""
    rotations, shift, betas = state
    anchor = shift.new_full(rotations.shape[:2], config.anchor_weight)
    anchor[:, 0] = config.root_weight
    if gaussian is None:
        mean, precision = shift.new_zeros(0), shift.new_zeros(0, 0)
    else:
        mean, precision = (value.to(shift) for value in gaussian)
    depth = config.depth_weight / shift[:, 2].square().clamp_min(1e-6)
    place = torch.full_like(depth, PLACE_WEIGHT)
    return Prior(
        rotations=rotations,
        betas=betas,
        shift=shift,
        anchor=anchor,
        shape_anchor=shift.new_full(depth.shape, config.shape_anchor),
        shape=shift.new_tensor(config.shape_weight),
        shift_anchor=torch.stack([place, place, depth], dim=-1),
        mean=mean,
        precision=precision,
    )
