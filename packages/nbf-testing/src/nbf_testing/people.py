"""People in front of a camera, of any body: what suites pose, photograph and fit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import roma
import torch
from torch import Tensor

from nbf_core.types import BodyParams, BodySpec, Camera, Skinning
from nbf_testing.claims import seeded

FLIP = (-1.0, 1.0, 1.0)
"""What mirroring does to coordinates."""

PARAMETERS = ("global_orient", "body_pose", "betas", "transl")
"""The names of a body's parameters."""


def random_params(spec: BodySpec, *batch: int, seed: int = 0, pose: float = 0.3, **kwargs) -> BodyParams:
    """Any leading batch of random bodies, about 3 m before the origin; ``kwargs`` as of :meth:`torch.Tensor.to`."""
    draw = seeded(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*batch, *shape, generator=draw, dtype=torch.float64)

    params = BodyParams(
        global_orient=normal(3),
        body_pose=pose * normal(len(spec.joint_names) - 1, 3),
        betas=normal(spec.shapes),
        transl=0.2 * normal(3) + torch.tensor([0.0, 0.0, 3.0], dtype=torch.float64),
    )
    return params.to(**kwargs) if kwargs else params


def standing(spec: BodySpec, count: int, size: tuple[int, int], seed: int = 0) -> tuple[BodyParams, Camera]:
    """Upright people who face the camera ten metres away and fill most of a picture of ``size``; float64."""
    params = random_params(spec, count, seed=seed, pose=0.1)
    upright = torch.tensor([math.pi, 0.0, 0.0], dtype=torch.float64)
    shift = params.transl - params.transl.new_tensor([0.0, 0.0, 3.0])
    people = BodyParams(
        global_orient=upright + 0.05 * params.global_orient,
        body_pose=params.body_pose,
        betas=0.2 * params.betas,
        transl=0.2 * shift + shift.new_tensor([0.0, -0.15, 10.0]),
    )
    return people, Camera.from_field(size, 4.4 * min(size), count, dtype=torch.float64)


def mirrored(params: BodyParams, mirror_joints: Sequence[int]) -> BodyParams:
    """The parameters of the mirror image across the plane between left and right (x = 0)."""
    order = torch.tensor(mirror_joints[1:], device=params.transl.device) - 1
    sign = params.transl.new_tensor([1.0, -1.0, -1.0])
    return BodyParams(
        global_orient=params.global_orient * sign,
        body_pose=params.body_pose[..., order, :] * sign,
        betas=params.betas,
        transl=params.transl * params.transl.new_tensor(FLIP),
    )


def skinned(skinning: Skinning, params: BodyParams) -> dict[str, Tensor]:
    """Joints, kernels and markers by the formula of :class:`nbf_core.types.Skinning`, in plain loops."""
    rest = skinning.joints + torch.einsum("jds,bs->bjd", skinning.joint_directions, params.betas)
    local = roma.rotvec_to_rotmat(torch.cat([params.global_orient[:, None], params.body_pose], 1))
    turn, place = [local[:, 0]], [rest[:, 0] + params.transl]
    for joint, parent in enumerate(skinning.parents[1:], 1):
        bone = rest[:, joint] - rest[:, parent]
        place.append(place[parent] + (turn[parent] @ bone[..., None])[..., 0])
        turn.append(turn[parent] @ local[:, joint])
    posed, turns = torch.stack(place, 1), torch.stack(turn, 1)
    found = {"joints": posed}
    for name in ("kernel", "marker"):
        points = getattr(skinning, f"{name}s") + torch.einsum(
            "nds,bs->bnd", getattr(skinning, f"{name}_directions"), params.betas
        )
        weights = getattr(skinning, f"{name}_weights")
        assert torch.allclose(weights.sum(1), torch.ones_like(weights[:, 0]), atol=1e-4), f"{name}_weights sum to 1"
        moved = torch.einsum("bjde,bnje->bnjd", turns, points[:, :, None] - rest[:, None]) + posed[:, None]
        found[f"{name}s"] = (weights[..., None] * moved).sum(2)
    return found
