"""Poses to begin from that are read off the matches: every part of the body alone, by scaled orthography."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_fitters.correspondence.records import Body, Evidence, Problem, State
from nbf_fitters.correspondence.reference import pose

SHARE = 0.5
"""Pixels count for the joint that carries at least this share of the point they show."""

PIXELS = 6.0
"""The least sum of those shares for a part to be placed by its pixels."""

THICKNESS = 0.006
"""The least standard deviation (metres) of a part's points across their plane: flat ones may be mirrored in depth."""

ROUNDS = 4
"""How often pixels are weighed again."""

SCALE = 1.0
"""Geman-McClure scale in map pixels."""


def parts_start(problem: Problem, state: State) -> State:
    """Turn each part that enough pixels show as they say; other joints keep their turn relative to the parent.

    A part's turn in the camera's frame is the rotation nearest to the linear map of its rest points onto the
    pixels. Depth and shape stay, the place is moved onto the pixels.
    """
    body, view, evidence = problem.body, problem.camera, problem.evidence
    distance = state.shift[:, 2]
    flat = (evidence.place - view.center[:, None]) / view.focal[:, None] * distance[:, None, None]
    rest = evidence.rest + torch.einsum("bnds,bs->bnd", evidence.directions, state.betas)
    pixel = distance / view.focal.mean(-1)
    turn, known = _part_turns(flat, rest, evidence, SCALE * pixel)
    state = _assembled(body, state, turn, known)
    world = pose(body, state)
    blend = torch.einsum("bnj,bjde->bnde", evidence.weights, world.turn)
    point = (blend @ rest[..., None])[..., 0] + evidence.weights @ world.offset
    miss = torch.where(evidence.trust[..., None] > 0, flat - point[..., :2], torch.nan)
    move = torch.nan_to_num(miss.nanmedian(1).values)
    shift = state.shift + torch.nn.functional.pad(move, (0, 1))
    return State(state.rotations, shift, state.betas)


def _part_turns(
    flat: Float[Tensor, "b n 2"], rest: Float[Tensor, "b n 3"], evidence: Evidence, scale: Float[Tensor, "b"]
) -> tuple[Float[Tensor, "b j 3 3"], Bool[Tensor, "b j"]]:
    """World rotation of each joint's part by weighted least squares, reweighted a few times, and where it is known."""
    # More than half: a pixel counts for one joint at most.
    share, joint = evidence.weights.max(-1)
    share = torch.where((share > SHARE) & (evidence.trust > 0), share, 0)
    index = torch.arange(evidence.weights.shape[-1], device=joint.device)
    which = (joint[..., None] == index).to(rest)
    weight, eye = share, torch.eye(3, dtype=rest.dtype, device=rest.device)
    # Moments of rest point and pixel, of all parts at once: 1, p, u, p p', p u'.
    outer = torch.cat([rest[..., :, None] * rest[..., None, :], rest[..., :, None] * flat[..., None, :]], dim=-1)
    terms = torch.cat([torch.ones_like(rest[..., :1]), rest, flat, outer.flatten(2)], dim=-1)
    for _ in range(ROUNDS):
        sums = which.mT @ (weight[..., None] * terms)
        total = sums[..., :1].clamp_min(1e-9)
        mean, middle = sums[..., 1:4] / total, sums[..., 4:6] / total
        second = (sums[..., 6:] / total).unflatten(-1, (3, 5))
        spread = second[..., :3] - mean[..., :, None] * mean[..., None, :]
        mixed = second[..., 3:] - mean[..., :, None] * middle[..., None, :]
        linear = torch.linalg.solve_ex(spread + 2.5e-5 * eye, mixed).result.mT  # b j 2 3
        constant = middle - (linear @ mean[..., None])[..., 0]
        maps = torch.cat([linear, constant[..., None]], dim=-1)
        own = (which @ maps.flatten(2)).unflatten(-1, (2, 4))
        fitted = (own[..., :3] @ rest[..., None])[..., 0] + own[..., 3]
        square = (fitted - flat).square().sum(-1)
        weight = share / (1 + square / scale[:, None] ** 2) ** 2
    left, _, right = torch.linalg.svd(torch.nan_to_num(linear), full_matrices=False)
    top = left @ right
    turn = torch.cat([top, torch.linalg.cross(top[..., 0, :], top[..., 1, :])[..., None, :]], dim=-2)
    thin = torch.linalg.eigvalsh(torch.nan_to_num(spread))[..., 0] > THICKNESS**2
    before, after = (which.mT @ torch.stack([share, weight], dim=-1)).unbind(-1)
    seen = (before > PIXELS) & (after > 0.5 * PIXELS)
    return turn, seen & thin


def _assembled(body: Body, state: State, turn: Tensor, known: Tensor) -> State:
    """World rotations to relative ones; a joint that is not known follows its parent, the root those below it."""
    parents = body.parents.tolist()
    relative = state.rotations
    # Above a known part the root lies where the start's own joints put it.
    chain, votes = [], torch.zeros_like(turn[:, 0])
    for joint, parent in enumerate(parents):
        chain.append(relative[:, joint] if parent < 0 else chain[parent] @ relative[:, joint])
        if parent == 0 or (parent > 0 and parents[parent] == 0):
            from_root = relative[:, 0].mT @ chain[joint]
            votes = votes + torch.where(known[:, joint, None, None], turn[:, joint] @ from_root.mT, 0)
    left, _, right = torch.linalg.svd(votes)
    sign = torch.ones_like(votes[:, 0])
    sign[:, 2] = torch.linalg.det(left @ right)
    voted = left @ torch.diag_embed(sign) @ right
    some = votes.abs().sum((1, 2)) > 0
    root = torch.where(some[:, None, None], voted, relative[:, 0])
    world, out = [], []
    for joint, parent in enumerate(parents):
        here = known[:, joint, None, None]
        if parent < 0:
            world.append(torch.where(here, turn[:, joint], root))
            out.append(world[-1])
        else:
            world.append(torch.where(here, turn[:, joint], world[parent] @ relative[:, joint]))
            out.append(world[parent].mT @ world[-1])
    return State(torch.stack(out, 1), state.shift, state.betas)
