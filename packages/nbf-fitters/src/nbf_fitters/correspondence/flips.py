"""Small parts that were fitted upside down in depth: a foot's few pixels hardly tell which way it points."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbf_fitters.correspondence.records import Problem, Solution, State, at, choose, put
from nbf_fitters.correspondence.reference import flat, pose, posed

FAR = 4.0
"""A squared miss counts for no more than this (px^2 of a map of 80)."""

PRIOR_PIXELS = 2.0
"""So many pixels that fit well are added to each part's own: one pixel alone turns nothing over."""

NOISE = 6.0
"""A part misfits where its mean squared miss is so many times that of half of the person's pixels."""


def misfits(problem: Problem, state: State, limit: float, pixel: float) -> tuple[Int[Tensor, "n"], Int[Tensor, "n"]]:
    """People with a part that misses its pixels, and the joint of the worst of each.

    ``limit`` is a mean squared miss in pixels of a map of 80, ``pixel`` the size of a pixel of this map in those.
    """
    seen = problem.evidence
    rest = seen.rest + torch.einsum("bnds,bs->bnd", seen.directions, state.betas)
    place = flat(problem.camera, posed(pose(problem.body, state), rest, seen.weights))
    used = seen.trust > 0
    miss = (place - seen.place).square().sum(-1) * pixel**2
    usual = torch.nan_to_num(torch.where(used, miss, torch.nan).nanmedian(1).values)
    joint = seen.weights.argmax(-1)
    zero = torch.zeros_like(seen.weights[:, 0])
    total = zero.scatter_add(1, joint, torch.where(used, miss.clamp_max(FAR), 0))
    count = zero.scatter_add(1, joint, used.to(miss)) + PRIOR_PIXELS
    worst, which = (total / count).max(-1)
    people = (worst > (NOISE * usual).clamp_min(limit)).nonzero()[:, 0]
    return people, which[people]


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
