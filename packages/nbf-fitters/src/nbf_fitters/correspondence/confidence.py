"""How far the picture, rather than what was expected before, fixes each joint."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from nbf_fitters.correspondence.records import Body, Problem, Schedule, State
from nbf_fitters.correspondence.reference import base_levers, normal_matrix, pose


def blind(problem: Problem) -> Problem:
    """The same problem with nothing seen: the prior alone. The root is anchored as the other joints are."""
    anchor = problem.prior.anchor.clone()
    anchor[:, 0] = anchor[:, 1:].mean(-1)
    return problem._replace(
        evidence=type(problem.evidence)(*(value[:, :1] * 0 for value in problem.evidence)),
        points=problem.points._replace(trust=problem.points.trust * 0),
        limbs=problem.limbs._replace(trust=problem.limbs.trust * 0),
        prior=problem.prior._replace(anchor=anchor),
    )


def place_derivatives(body: Body, state: State) -> Float[Tensor, "b j 3 v"]:
    """Of each joint's place relative to the root by all variables; the root has its own turn instead (radians)."""
    world = pose(body, state)
    points = base_levers(body, world, state.betas)
    joints = len(body.parents)
    arm = points.arm[:, :joints]
    zero = torch.zeros_like(arm[..., 0])
    x, y, z = arm.unbind(-1)
    # A turn w moves the point by w x arm = -[arm]_x w.
    cross = torch.stack([zero, z, -y, -z, zero, x, y, -x, zero], dim=-1).unflatten(-1, (3, 3))
    by_turn = cross.movedim(2, 3).flatten(3)  # b n 3 3j
    by_shape = points.by_shape[:, :joints] - points.by_shape[:, :1]
    out = torch.cat([by_turn, torch.zeros_like(by_turn[..., :3]), by_shape], dim=-1)
    out[:, 0] = 0
    out[:, 0, :, :3] = torch.eye(3).to(out)
    return out


def joint_confidence(
    problem: Problem, state: State, schedule: Schedule, matrix: Float[Tensor, "b v v"]
) -> Float[Tensor, "b j"]:
    """``1 - sigma / sigma_prior`` of each joint, in [0, 1].

    ``sigma`` is the standard deviation of the joint's place relative to the root (of the root's turn for the root)
    that the normal ``matrix`` at the fit implies, ``sigma_prior`` that of start, anchor and population without the
    picture. 0: the picture says nothing; .9: it leaves a tenth of the uncertainty. Pixels far from where the fit puts
    them count for little in the matrix, so contradiction lowers confidence too.
    """
    change = place_derivatives(problem.body, state)
    before = normal_matrix(blind(problem), state, schedule)

    def deviation(normal: Tensor) -> Tensor:
        eye = torch.eye(normal.shape[-1]).to(normal)
        scale = normal.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None]
        factor, failed = torch.linalg.cholesky_ex(normal + 1e-10 * scale * eye)
        whole = torch.linalg.solve_triangular(factor, change.flatten(1, 2).mT, upper=False)
        value = whole.square().sum(1).unflatten(-1, (-1, 3)).sum(-1).sqrt()
        return torch.where(failed[:, None] == 0, value, torch.nan)

    ratio = deviation(matrix) / deviation(before).clamp_min(1e-12)
    return torch.nan_to_num(1 - ratio, nan=0.0, posinf=0.0, neginf=0.0).clamp(0, 1)
