"""The solver in torch, all people at once: what the compiled one computes, to be read, checked and run on any device.

Robust Gauss-Newton with Levenberg's damping. Variables are world-frame rotation increments of the joints, the
translation and the shape: ``3 j + 3 + s`` numbers a person. Every term gives its value, and with ``build`` its rows:
residuals, derivatives and weights.
"""

from __future__ import annotations

from typing import NamedTuple

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from nbf_fitters.correspondence.records import Body, Problem, Schedule, Solution, State, View, choose

DAMPING, LEAST, MOST = 1e-3, 1e-7, 1e6
"""Levenberg's damping at the beginning of a stage, and its bounds."""


class World(NamedTuple):
    """The posed skeleton: a point carried by joint ``j`` lies at ``turn_j rest + offset_j``."""

    turn: Float[Tensor, "b j 3 3"]
    place: Float[Tensor, "b j 3"]
    offset: Float[Tensor, "b j 3"]
    place_shape: Float[Tensor, "b j 3 s"]
    offset_shape: Float[Tensor, "b j 3 s"]


class Levers(NamedTuple):
    """Points, their lever arms about each joint (what a rotation increment there is crossed with), and by shape."""

    point: Float[Tensor, "b n 3"]
    arm: Float[Tensor, "b n j 3"]
    by_shape: Float[Tensor, "b n 3 s"]


class System(NamedTuple):
    """Energy, gradient and Gauss-Newton matrix of each person."""

    energy: Float[Tensor, "b"]
    gradient: Float[Tensor, "b v"]
    matrix: Float[Tensor, "b v v"]


def below(parents: Tensor) -> Float[Tensor, "j j"]:
    """One where the second joint is the first or hangs below it."""
    count = len(parents)
    tree = torch.eye(count, dtype=torch.float64, device=parents.device)
    for joint in range(count - 1, 0, -1):
        tree[parents[joint]] += tree[joint]
    return tree


def pose(body: Body, state: State) -> World:
    """The skeleton of each person, with derivatives by the shape."""
    rest = body.joints + torch.einsum("jds,bs->bjd", body.joint_directions, state.betas)
    directions = body.joint_directions.expand(len(rest), -1, -1, -1)
    turn, place, slope = [], [], []
    for joint, parent in enumerate(body.parents.tolist()):
        if parent < 0:
            turn.append(state.rotations[:, joint])
            place.append(rest[:, joint] + state.shift)
            slope.append(directions[:, joint])
            continue
        up = turn[parent]
        turn.append(up @ state.rotations[:, joint])
        place.append(place[parent] + (up @ (rest[:, joint] - rest[:, parent])[..., None])[..., 0])
        slope.append(slope[parent] + up @ (directions[:, joint] - directions[:, parent]))
    turn, place, slope = torch.stack(turn, 1), torch.stack(place, 1), torch.stack(slope, 1)
    offset = place - (turn @ rest[..., None])[..., 0]
    return World(turn, place, offset, slope, slope - turn @ directions)


def levers(body: Body, world: World, betas, rest, directions, weights) -> Levers:
    """Skinned points: ``rest`` [b, n, 3], ``directions`` [b, n, 3, s], ``weights`` [b, n, j]."""
    shaped = rest + torch.einsum("bnds,bs->bnd", directions, betas)
    each = torch.einsum("bjde,bne->bnjd", world.turn, shaped) + world.offset[:, None]
    moment = weights[..., None] * each
    tree = below(body.parents).to(rest)
    arm = torch.einsum("ij,bnjd->bnid", tree, moment)
    arm = arm - (weights @ tree.mT)[..., None] * world.place[:, None]
    blend = torch.einsum("bnj,bjde->bnde", weights, world.turn)
    by_shape = blend @ directions + torch.einsum("bnj,bjds->bnds", weights, world.offset_shape)
    return Levers(moment.sum(2), arm, by_shape)


def posed(world: World, rest: Float[Tensor, "b n 3"], weights: Tensor) -> Float[Tensor, "b n 3"]:
    """Where skinned points are, alone: ``weights`` [b, n, j]."""
    blend = (weights @ world.turn.flatten(2)).unflatten(-1, (3, 3))
    return (blend @ rest[..., None])[..., 0] + weights @ world.offset


def flat(camera: View, place: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n 2"]:
    """Their pixels."""
    rays = place[..., :2] / torch.maximum(place[..., 2], camera.nearest[:, None])[..., None]
    return rays * camera.focal[:, None] + camera.center[:, None]


def combined(combination: Float[Tensor, "n m"], points: Levers) -> Levers:
    """Linear combinations of points."""
    return Levers(*(torch.einsum("nm,bm...->bn...", combination, value) for value in points))


def base_levers(body: Body, world: World, betas: Tensor) -> Levers:
    """Joints and markers."""
    people = len(betas)
    given = (body.base_rest, body.base_directions, body.base_weights)
    return levers(body, world, betas, *(value.expand(people, *value.shape) for value in given))


def rows(direction: Float[Tensor, "b n 3"], points: Levers, moves: bool = True) -> Float[Tensor, "b n v"]:
    """The derivative of ``direction`` times each point by every variable; ``moves``: with the translation."""
    turns = torch.linalg.cross(points.arm, direction[:, :, None].expand_as(points.arm)).flatten(2)
    by_shape = torch.einsum("bnd,bnds->bns", direction, points.by_shape)
    return torch.cat([turns, direction if moves else torch.zeros_like(direction), by_shape], dim=-1)


def left_inverse(vector: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """``d log(exp(w) exp(v)) / dw`` at ``w = 0``: the inverse of the left Jacobian of SO(3)."""
    square = vector.square().sum(-1)
    small = square < 1e-6
    angle = torch.where(small, 1.0, square).sqrt()
    factor = 1 / angle**2 - (1 + torch.cos(angle)) / (2 * angle * torch.sin(angle).clamp_min(1e-9))
    factor = torch.where(small, 1 / 12 + square / 720, factor)[..., None, None]
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    eye = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return eye - 0.5 * cross + factor * cross @ cross


def robust(square: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Geman-McClure: value and the weight of the least squares problem with the same gradient."""
    share = scale**2 / (scale**2 + square)
    return share * square, share.square()


class _Sum:
    """A system that grows term by term."""

    def __init__(self, people: int, variables: int, like: Tensor):
        self.energy = like.new_zeros(people)
        self.gradient = like.new_zeros(people, variables)
        self.matrix = like.new_zeros(people, variables, variables)

    def add(self, residual: Tensor, derivative: Tensor, weight: Tensor) -> None:
        """Rows [b, n, v] with residuals and weights [b, n]; the energy is counted elsewhere."""
        weighted = derivative * weight[..., None]
        self.matrix += weighted.mT @ derivative
        self.gradient += (weighted.mT @ residual[..., None])[..., 0]


def _project(problem: Problem, points: Levers, place: Tensor, trust: Tensor, scale: Tensor, total: _Sum, build: bool):
    """Robust distance in the picture, for pixels and keypoints alike."""
    camera, point = problem.camera, points.point
    depth = torch.where(trust > 0, point[..., 2], camera.nearest[:, None])
    safe = torch.maximum(depth, camera.nearest[:, None])
    flat = point[..., :2] / safe[..., None]
    residual = flat * camera.focal[:, None] + camera.center[:, None] - place
    residual = torch.where(trust[..., None] > 0, residual, 0)
    value, weight = robust(residual.square().sum(-1), scale)
    total.energy += 0.5 * (trust * value).sum(-1)
    total.energy += torch.where((depth < camera.nearest[:, None]).any(-1), torch.inf, 0.0)
    if build:
        zero, gain = torch.zeros_like(safe), camera.focal[:, None] / safe[..., None]
        for axis in range(2):
            slope = [gain[..., 0] if axis == 0 else zero, gain[..., 1] if axis == 1 else zero]
            direction = torch.stack([*slope, -gain[..., axis] * flat[..., axis]], dim=-1)
            total.add(residual[..., axis], rows(direction, points), trust * weight)


def _limbs(problem: Problem, base: Levers, total: _Sum, build: bool) -> None:
    """Limb directions outside the range seen."""
    limbs, ray = problem.limbs, problem.camera.ray[:, None]
    points = combined(limbs.combination, base)
    length = points.point.norm(dim=-1, keepdim=True)
    trust = torch.where(length[..., 0] < 1e-9, 0, limbs.trust)
    unit = points.point / length.clamp_min(1e-9)
    along = (unit * ray).sum(-1)
    residual = (along - limbs.low).clamp_max(0) + (along - limbs.high).clamp_min(0)
    total.energy += 0.5 * (trust * residual.square()).sum(-1)
    if build:
        direction = (ray - along[..., None] * unit) / length.clamp_min(1e-9)
        total.add(residual, rows(direction, points, moves=False), trust * (residual != 0))


def _joint_rows(problem: Problem, world: World, vectors: Float[Tensor, "b j 3"]) -> Float[Tensor, "b j 3 3"]:
    """The derivative of the logarithm of each joint's relative rotation by its own world increment."""
    parents = problem.body.parents
    up = world.turn[:, parents.clamp_min(0)].clone()
    up[:, parents < 0] = torch.eye(3).to(up)
    return left_inverse(vectors) @ up.mT


def _priors(problem: Problem, state: State, world: World, total: _Sum, build: bool) -> None:
    """Anchor to the start, Gaussian of poses, shape and place."""
    prior, joints = problem.prior, len(problem.body.parents)
    people, last = len(state.shift), 3 * joints
    turn = roma.rotmat_to_rotvec(state.rotations @ prior.rotations.mT)
    total.energy += 0.5 * (prior.anchor[..., None] * turn.square()).sum((1, 2))
    away = state.betas - prior.betas
    shape = prior.shape_anchor[:, None] * away.square() + prior.shape * state.betas.square()
    moved = state.shift - prior.shift
    total.energy += 0.5 * shape.sum(-1) + 0.5 * (prior.shift_anchor * moved.square()).sum(-1)
    pose_known = len(prior.mean) > 0
    if pose_known:
        vectors = roma.rotmat_to_rotvec(state.rotations)
        offset = vectors[:, 1:].flatten(1) - prior.mean
        pull = offset @ prior.precision
        total.energy += 0.5 * (pull * offset).sum(-1)
    if not build:
        return
    own = _joint_rows(problem, world, turn)
    wide = turn.new_zeros(people, joints, 3, joints, 3)
    index = torch.arange(joints, device=turn.device)
    wide[:, index, :, index] = own.transpose(0, 1)
    every = torch.cat([wide.flatten(3).flatten(1, 2), turn.new_zeros(people, last, 3 + len(away[0]))], dim=-1)
    total.add(turn.flatten(1), every, prior.anchor.repeat_interleave(3, dim=-1))
    if pose_known:
        wide[:, index, :, index] = _joint_rows(problem, world, vectors).transpose(0, 1)
        derivative = wide[:, 1:].flatten(3).flatten(1, 2)
        total.matrix[:, :last, :last] += derivative.mT @ prior.precision @ derivative
        total.gradient[:, :last] += (derivative.mT @ pull[..., None])[..., 0]
    tail = torch.cat([prior.shift_anchor, (prior.shape_anchor[:, None] + prior.shape).expand_as(away)], dim=-1)
    total.matrix[:, last:, last:] += torch.diag_embed(tail)
    pulled = prior.shape_anchor[:, None] * away + prior.shape * state.betas
    total.gradient[:, last:] += torch.cat([prior.shift_anchor * moved, pulled], dim=-1)


def evaluate(problem: Problem, state: State, pixel_scale: Tensor, point_scale: Tensor, build: bool = True) -> System:
    """The energy of each person and, with ``build``, its Gauss-Newton system (otherwise zeros)."""
    body, evidence = problem.body, problem.evidence
    world = pose(body, state)
    total = _Sum(len(state.shift), 3 * len(body.parents) + 3 + state.betas.shape[-1], state.shift)
    total.energy += torch.where(world.place[:, 0, 2] < problem.camera.nearest, torch.inf, 0.0)
    seen = levers(body, world, state.betas, evidence.rest, evidence.directions, evidence.weights)
    _project(problem, seen, evidence.place, evidence.trust, pixel_scale, total, build)
    base = base_levers(body, world, state.betas)
    points = combined(problem.points.combination, base)
    _project(problem, points, problem.points.place, problem.points.trust, point_scale, total, build)
    _limbs(problem, base, total, build)
    _priors(problem, state, world, total, build)
    return System(torch.nan_to_num(total.energy, nan=torch.inf, posinf=torch.inf), total.gradient, total.matrix)


def advance(body: Body, world: World, state: State, step: Float[Tensor, "b v"]) -> State:
    """The state after a step: world increments become relative ones."""
    joints = len(body.parents)
    turns = step[:, : 3 * joints].unflatten(-1, (joints, 3))
    up = world.turn[:, body.parents.clamp_min(0)].clone()
    up[:, body.parents < 0] = torch.eye(3).to(up)
    local = roma.rotvec_to_rotmat((up.mT @ turns[..., None])[..., 0])
    shift, betas = step[:, 3 * joints : 3 * joints + 3], step[:, 3 * joints + 3 :]
    return State(local @ state.rotations, state.shift + shift, state.betas + betas)


def solve_damped(system: System, damping: Float[Tensor, "b"]) -> tuple[Float[Tensor, "b v"], Tensor]:
    """``-(H + damping diag H)^-1 g`` and whether the matrix was positive definite."""
    diagonal = system.matrix.diagonal(dim1=-2, dim2=-1)
    matrix = system.matrix + torch.diag_embed(damping[:, None] * diagonal + 1e-9)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    step = -torch.cholesky_solve(system.gradient[..., None], factor)[..., 0]
    good = (failed == 0) & step.isfinite().all(-1)
    return torch.where(good[:, None], step, 0), good


def solve(problem: Problem, state: State, schedule: Schedule, threads: int = 1) -> Solution:
    """Levenberg-Marquardt through all stages of each person; ``threads`` is for the compiled solver alone."""
    trace, energy = [], torch.full_like(state.shift[:, 0], torch.inf)
    for near, far, steps in zip(schedule.pixel_scale, schedule.point_scale, schedule.steps, strict=True):
        near, far = state.shift.new_tensor(float(near)), state.shift.new_tensor(float(far))
        energy = evaluate(problem, state, near, far, build=False).energy
        damping, active = torch.full_like(energy, DAMPING), energy.isfinite()
        for _ in range(int(steps)):
            if not active.any():
                break
            system = evaluate(problem, state, near, far)
            step, good = solve_damped(system, damping)
            trial = advance(problem.body, pose(problem.body, state), state, step)
            after = evaluate(problem, trial, near, far, build=False).energy
            better = active & good & (after < energy)
            small = energy - after < float(schedule.tolerance) * energy
            damping = torch.where(better, (0.2 * damping).clamp_min(LEAST), (8 * damping).clamp_max(MOST))
            state, energy = choose(better, trial, state), torch.where(better, after, energy)
            active = active & ~(better & small)
            trace.append(energy)
    return Solution(state, energy, torch.stack(trace) if trace else energy[None])


def normal_matrix(problem: Problem, state: State, schedule: Schedule, threads: int = 1) -> Float[Tensor, "b v v"]:
    """The Gauss-Newton matrix of each person at the scales of the last stage."""
    near, far = (state.shift.new_tensor(float(scale[-1])) for scale in (schedule.pixel_scale, schedule.point_scale))
    return evaluate(problem, state, near, far).matrix
