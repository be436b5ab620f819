"""The solver in compiled code: one person at a time, people spread over threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nbf_fitters.correspondence._compile import compiled, entry
from nbf_fitters.correspondence._geometry import pose, product, rotation_exp
from nbf_fitters.correspondence._terms import (
    anchor_terms,
    keypoint_terms,
    limb_terms,
    pixel_energy,
    pixel_system,
    pose_terms,
    shape_terms,
)
from nbf_fitters.correspondence._work import Work, workspace
from nbf_fitters.correspondence.records import (
    Evidence,
    Limbs,
    Points,
    Prior,
    Problem,
    Schedule,
    Solution,
    State,
    View,
)

Array = Any
DAMPING, LEAST, MOST = 1e-3, 1e-7, 1e6
"""Levenberg's damping at the beginning of a stage, and its bounds."""


@compiled
def energy(problem, rotations, shift, betas, pixel_scale, point_scale, work):
    """The energy of one person; ``work.world`` is posed on the way."""
    body, view, world = problem.body, problem.camera, work.world
    pose(body, rotations, shift, betas, world)
    if world.place[0, 2] < view.nearest:
        return np.inf
    total = pixel_energy(view, problem.evidence, pixel_scale, betas, world, work)
    total += keypoint_terms(body, view, problem.points, point_scale, betas, world, work, False)
    total += limb_terms(body, view, problem.limbs, betas, world, work, False)
    total += anchor_terms(body, problem.prior, rotations, world, work, False)
    total += pose_terms(body, problem.prior, rotations, world, work, False)
    total += shape_terms(problem.prior, shift, betas, len(rotations), work, False)
    return total


@compiled
def assemble(problem, rotations, shift, betas, pixel_scale, point_scale, work):
    """The Gauss-Newton system, in ``work.system``; the world must be posed."""
    body, view, world = problem.body, problem.camera, work.world
    work.system.matrix[:] = 0.0
    work.system.gradient[:] = 0.0
    pixel_system(body, view, problem.evidence, pixel_scale, betas, world, work)
    keypoint_terms(body, view, problem.points, point_scale, betas, world, work, True)
    limb_terms(body, view, problem.limbs, betas, world, work, True)
    anchor_terms(body, problem.prior, rotations, world, work, True)
    pose_terms(body, problem.prior, rotations, world, work, True)
    shape_terms(problem.prior, shift, betas, len(rotations), work, True)


@compiled
def solve_damped(system, damping, factor, step):
    """``-(H + damping diag H)^-1 g`` by Cholesky's method; false where the matrix is not positive definite."""
    n = np.uint64(len(step))
    for i in range(n):
        for j in range(i, n):
            factor[i, j] = system.matrix[i, j]
        factor[i, i] += damping * system.matrix[i, i] + 1e-9
        step[i] = -system.gradient[i]
    one = np.uint64(1)
    for k in range(n):
        pivot = factor[k, k]
        if not pivot > 1e-12:
            return False
        inverse = 1.0 / np.sqrt(pivot)
        for j in range(k, n):
            factor[k, j] *= inverse
        step[k] *= inverse
        for i in range(k + one, n):
            value = factor[k, i]
            if value != 0.0:
                step[i] -= value * step[k]
                for j in range(i, n):
                    factor[i, j] -= value * factor[k, j]
    for k in range(len(step) - 1, -1, -1):
        value = step[k]
        for j in range(k + 1, len(step)):
            value -= factor[k, j] * step[j]
        step[k] = value / factor[k, k]
    return True


@compiled
def advance(problem, rotations, shift, betas, work):
    """The pose after ``work.step``, in ``work.trial``: world increments become relative ones."""
    body, joints = problem.body, len(rotations)
    for j in range(joints):
        w = work.step[3 * j : 3 * j + 3]
        if body.parents[j] >= 0:
            up = work.world.turn[body.parents[j]]
            for d in range(3):
                work.vector[d] = up[0, d] * w[0] + up[1, d] * w[1] + up[2, d] * w[2]
        else:
            work.vector[:] = w
        rotation_exp(work.vector, work.turn)
        product(work.turn, rotations[j], work.trial[j])
    for d in range(3):
        work.trial_shift[d] = shift[d] + work.step[3 * joints + d]
    for s in range(len(betas)):
        work.trial_betas[s] = betas[s] + work.step[3 * joints + 3 + s]


@compiled
def descend(problem, state, schedule, work, trace):
    """Levenberg-Marquardt through all stages, in place; returns the energy at the last stage's scales.

    ``trace`` [stages' steps] gets the energy after each step, as far as steps were made.
    """
    rotations, shift, betas = state.rotations, state.shift, state.betas
    value, done = np.inf, 0
    for stage in range(len(schedule.steps)):
        near, far = schedule.pixel_scale[stage], schedule.point_scale[stage]
        damping = DAMPING
        value = energy(problem, rotations, shift, betas, near, far, work)
        if not value < np.inf:
            return np.inf
        fresh, small = False, 0
        for _ in range(schedule.steps[stage]):
            if not fresh:
                pose(problem.body, rotations, shift, betas, work.world)
                assemble(problem, rotations, shift, betas, near, far, work)
                fresh = True
            after = np.inf
            if solve_damped(work.system, damping, work.factor, work.step):
                pose(problem.body, rotations, shift, betas, work.world)
                advance(problem, rotations, shift, betas, work)
                after = energy(problem, work.trial, work.trial_shift, work.trial_betas, near, far, work)
            if after < value:
                small = value - after < schedule.tolerance * value
                rotations[:] = work.trial
                shift[:] = work.trial_shift
                betas[:] = work.trial_betas
                value, fresh, damping = after, False, max(0.2 * damping, LEAST)
            else:
                damping = min(8.0 * damping, MOST)
            trace[done] = value
            done += 1
            if small:
                break
    return value


@compiled
def person(problem, i, count):
    """The problem of one person, without padding."""
    camera, seen, points = problem.camera, problem.evidence, problem.points
    limbs, prior = problem.limbs, problem.prior
    return Problem(
        problem.body,
        View(camera.focal[i], camera.center[i], camera.ray[i], camera.nearest[i]),
        Evidence(
            seen.place[i, :count],
            seen.rest[i, :count],
            seen.directions[i, :count],
            seen.weights[i, :count],
            seen.trust[i, :count],
        ),
        Points(points.combination, points.place[i], points.trust[i]),
        Limbs(limbs.combination, limbs.low[i], limbs.high[i], limbs.trust[i]),
        Prior(
            prior.rotations[i],
            prior.betas[i],
            prior.shift[i],
            prior.anchor[i],
            prior.shape_anchor[i],
            prior.shape,
            prior.shift_anchor[i],
            prior.mean,
            prior.precision,
        ),
    )


@entry
def _solve_one(problem, state, schedule, i, count, work, trace):
    mine = State(state.rotations[i], state.shift[i], state.betas[i])
    return descend(person(problem, i, count), mine, schedule, work, trace)


@entry
def _normal_one(problem, state, scales, i, count, work, out):
    mine = person(problem, i, count)
    pose(mine.body, state.rotations[i], state.shift[i], state.betas[i], work.world)
    assemble(mine, state.rotations[i], state.shift[i], state.betas[i], scales[0], scales[1], work)
    for a in range(len(out)):
        for b in range(a, len(out)):
            out[a, b] = out[b, a] = work.system.matrix[a, b]


def arrays(record):
    """A record of tensors as contiguous numpy arrays: float64, integers as int64; scalars as numbers."""
    values = []
    for value in record:
        if isinstance(value, tuple):
            values.append(arrays(value))
        elif isinstance(value, Tensor) and value.ndim:
            values.append(np.ascontiguousarray(value.numpy(), np.float64 if value.is_floating_point() else np.int64))
        else:
            values.append(float(value))
    return type(record)(*values)


def _spread(function, people: int, threads: int, make) -> None:
    """Call ``function(i, memory)`` for all people, in as many threads as there may be."""

    def some(first: int) -> None:
        memory = make()
        for i in range(first, people, count):
            function(i, memory)

    count = max(1, min(threads, people))
    if count == 1:
        some(0)
        return
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(some, range(count)))


def _counts(problem: Problem) -> Array:
    """How many pixels of each person come before the padding."""
    used = problem.evidence.trust > 0
    return np.where(used.any(1), used.shape[1] - used[:, ::-1].argmax(1), 0)


def solve(problem: Problem, state: State, schedule: Schedule, threads: int = 1) -> Solution:
    """Levenberg-Marquardt through all stages of each person; the same numbers for any number of ``threads``."""
    people, joints = state.rotations.shape[:2]
    shapes, like = state.betas.shape[1], state.shift
    problem, result = arrays(problem), arrays(State(*(value.clone() for value in state)))
    plan = Schedule(
        np.asarray(schedule.pixel_scale, np.float64),
        np.asarray(schedule.point_scale, np.float64),
        np.asarray(schedule.steps, np.int64),
        float(schedule.tolerance),
    )
    counts, energies = _counts(problem), np.full(people, np.inf)
    trace = np.full((people, max(1, int(plan.steps.sum()))), np.nan)

    def one(i: int, work: Work) -> None:
        energies[i] = _solve_one(problem, result, plan, i, counts[i], work, trace[i])
        done = np.isfinite(trace[i]).sum()
        trace[i, done:] = energies[i]

    _spread(one, people, threads, lambda: workspace(joints, shapes))
    back = State(*(torch.from_numpy(value).to(like) for value in result))
    return Solution(back, torch.from_numpy(energies).to(like), torch.from_numpy(trace.T.copy()).to(like))


def normal_matrix(problem: Problem, state: State, schedule: Schedule, threads: int = 1) -> Tensor:
    """The Gauss-Newton matrix of each person at the scales of the last stage, [b, v, v]."""
    people, joints = state.rotations.shape[:2]
    shapes, like = state.betas.shape[1], state.shift
    problem, state = arrays(problem), arrays(state)
    scales = np.array([schedule.pixel_scale[-1], schedule.point_scale[-1]], np.float64)
    counts, out = _counts(problem), np.zeros((people, 3 * joints + 3 + shapes, 3 * joints + 3 + shapes))

    def one(i: int, work: Work) -> None:
        _normal_one(problem, state, scales, i, counts[i], work, out[i])

    _spread(one, people, threads, lambda: workspace(joints, shapes))
    return torch.from_numpy(out).to(like)
