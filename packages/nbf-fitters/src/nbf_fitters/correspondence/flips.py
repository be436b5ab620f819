"""Parts that were fitted upside down in depth: few pixels hardly tell which way a foot or a half-hidden arm points."""

from __future__ import annotations

import roma
import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbf_fitters.correspondence.records import Problem, Solution, State, at, choose, put
from nbf_fitters.correspondence.reference import flat, pose, posed, robust

NOISE = 2.0
"""Pixels of a part count for what they cost beyond so many times the cost of the person's middle pixel."""


def strains(problem: Problem, state: State, scale: float) -> Float[Tensor, "b j"]:
    """What each joint's turn costs: away from the start, from the population, and in pixels of its part that miss.

    Energy, in pixels above what is usual for the person; ``scale`` is that of the robust function (map pixels).
    The root's is nothing.
    """
    seen, prior = problem.evidence, problem.prior
    rest = seen.rest + torch.einsum("bnds,bs->bnd", seen.directions, state.betas)
    place = flat(problem.camera, posed(pose(problem.body, state), rest, seen.weights))
    used = seen.trust > 0
    cost = 0.5 * seen.trust * robust((place - seen.place).square().sum(-1), seen.trust.new_tensor(scale))[0]
    usual = torch.nan_to_num(torch.where(used, cost, torch.nan).nanmedian(1).values)
    zero, joint = torch.zeros_like(seen.weights[:, 0]), seen.weights.argmax(-1)
    pixels = zero.scatter_add(1, joint, torch.where(used, cost - NOISE * usual[:, None], 0)).clamp_min(0)
    turn = roma.rotmat_to_rotvec(state.rotations @ prior.rotations.mT)
    total = pixels + 0.5 * prior.anchor * turn.square().sum(-1)
    if len(prior.mean):
        away = roma.rotmat_to_rotvec(state.rotations)[:, 1:].flatten(1) - prior.mean
        total[:, 1:] += 0.5 * (away * (away @ prior.precision)).unflatten(1, (-1, 3)).sum(-1)
    total[:, 0] = 0
    return total


def flipped(problem: Problem, state: State, joint: Int[Tensor, "b"], below: Float[Tensor, "j 3"]) -> State:
    """Of each person one joint turned so that what hangs on it points as far forwards as it pointed backwards.

    ``below`` is the middle of what hangs on each joint, at rest. The shortest such turn; in the picture (nearly)
    nothing moves but the sides of the part.
    """
    world, row = pose(problem.body, state), torch.arange(len(joint), device=joint.device)
    turn, parent = world.turn[row, joint], problem.body.parents[joint]
    ahead = (turn @ (below[joint] - problem.body.joints[joint])[..., None])[..., 0]
    # The shortest rotation from one direction to another is two reflections; what points along the ray turns about x.
    ahead = torch.nn.functional.normalize(ahead, dim=-1)
    other = ahead * ahead.new_tensor([1.0, 1.0, -1.0])
    between = torch.nn.functional.normalize(ahead + other + ahead.new_tensor([1e-6, 0.0, 0.0]), dim=-1)
    eye = torch.eye(3).to(turn)
    first = eye - 2 * ahead[:, :, None] * ahead[:, None]
    second = eye - 2 * between[:, :, None] * between[:, None]
    over = second @ first
    above = torch.where((parent >= 0)[:, None, None], world.turn[row, parent.clamp_min(0)], eye)
    rotations = state.rotations.clone()
    rotations[row, joint] = above.mT @ over @ turn
    return state._replace(rotations=rotations)


def better(old: Solution, new: Solution, people: Int[Tensor, "n"]) -> Solution:
    """``old`` with those of ``people`` whom ``new`` fits at less energy."""
    less = new.energy < old.energy[people]
    state = put(old.state, choose(less, new.state, at(old.state, people)), people)
    energy = old.energy.index_copy(0, people, torch.minimum(new.energy, old.energy[people]))
    trace = old.trace.clone()
    trace[-1] = energy
    return Solution(state, energy, trace)
