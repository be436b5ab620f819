"""How far two bodies are apart, in millimetres: of joints, of people."""

from __future__ import annotations

from collections.abc import Sequence

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from nbf_core.contracts import BodyModel
from nbf_core.geometry.alignment import similarity_align
from nbf_core.types import BodyParams


def places(body: BodyModel, params: BodyParams) -> Float[Tensor, "b J 3"]:
    """Joints in millimetres."""
    return 1000 * body(params, vertices=False).joints


def person_ways(
    body: BodyModel, first: BodyParams, second: BodyParams
) -> tuple[Float[Tensor, "b"], Float[Tensor, "b"]]:
    """Mean distances of the joints, relative to the root, and after similarity alignment (MPJPE and PA-MPJPE)."""
    one, other = places(body, first), places(body, second)
    apart = ((one - one[:, :1]) - (other - other[:, :1])).norm(dim=-1).mean(-1)
    return apart, (similarity_align(one, other) - other).norm(dim=-1).mean(-1)


def rotations(params: BodyParams) -> Float[Tensor, "b J 3 3"]:
    """All rotations as matrices, the root first."""
    return roma.rotvec_to_rotmat(torch.cat([params.global_orient[:, None], params.body_pose], 1))


def arms(body: BodyModel, params: BodyParams) -> Float[Tensor, "b J 3"]:
    """From each joint to the middle of what hangs on it, in the joint's own frame (mm); zero for ends."""
    joints, local, parents = places(body, params), rotations(params), body.spec.parents
    world = [local[:, 0]]
    for joint in range(1, len(parents)):
        world.append(world[parents[joint]] @ local[:, joint])
    hangs = joints.new_tensor(_hanging(parents))
    count = hangs.sum(-1)[:, None]
    arm = torch.where(count > 0, (hangs @ joints) / count.clamp_min(1) - joints, 0)
    return (torch.stack(world, 1).mT @ arm[..., None])[..., 0]


def _hanging(parents: Sequence[int]) -> list[list[float]]:
    """One where a joint (column) hangs on another (row), directly or not."""
    table = [[0.0] * len(parents) for _ in parents]
    for joint in range(len(parents)):
        above = parents[joint]
        while above >= 0:
            table[above][joint] = 1.0
            above = parents[above]
    return table


def joint_ways(first: BodyParams, second: BodyParams, arm: Float[Tensor, "b J 3"]) -> Float[Tensor, "b J"]:
    """By how far each joint's own rotation moves the end of its ``arm``."""
    one, other = (rotations(params) @ arm[..., None] for params in (first, second))
    return (one - other)[..., 0].norm(dim=-1)
