"""What the solvers are handed and what they return: named tuples of arrays, for torch and for compiled code alike."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

Array = Any
"""A numpy array (compiled solver, one person) or a tensor (reference, a leading batch of people where it says b)."""


class Body(NamedTuple):
    """The skeleton at rest, and ``m`` joints and markers, of which keypoints are made."""

    parents: Array  # [j]
    joints: Array  # [j, 3]
    joint_directions: Array  # [j, 3, s]
    base_rest: Array  # [m, 3]
    base_directions: Array  # [m, 3, s]
    base_weights: Array  # [m, j]


class View(NamedTuple):
    """The camera; ``ray`` is the unit ray through the middle of the map, ``nearest`` the least depth allowed."""

    focal: Array  # [b, 2]
    center: Array  # [b, 2]
    ray: Array  # [b, 3]
    nearest: Array  # [b]


class Evidence(NamedTuple):
    """Pixels and the points of the body they show. ``trust`` is the weight of a squared pixel, 0 for padding."""

    place: Array  # [b, n, 2]
    rest: Array  # [b, n, 3]
    directions: Array  # [b, n, 3, s]
    weights: Array  # [b, n, j]
    trust: Array  # [b, n]


class Points(NamedTuple):
    """Keypoints: ``combination`` of joints and markers, at ``place``."""

    combination: Array  # [n, m]
    place: Array  # [b, n, 2]
    trust: Array  # [b, n]


class Limbs(NamedTuple):
    """Limbs (end minus beginning, as a combination of joints and markers) whose share along the ray was seen."""

    combination: Array  # [l, m]
    low: Array  # [b, l]
    high: Array  # [b, l]
    trust: Array  # [b, l]


class Prior(NamedTuple):
    """What is expected before seeing: the start, and the population (``mean`` and ``precision``, or empty ones)."""

    rotations: Array  # [b, j, 3, 3]
    betas: Array  # [b, s]
    shift: Array  # [b, 3]
    anchor: Array  # [b, j]
    shape_anchor: Array  # [b]
    shape: Array  # []
    shift_anchor: Array  # [b, 3]
    mean: Array  # [n] or [0]
    precision: Array  # [n, n] or [0, 0]


class State(NamedTuple):
    """A pose: rotations relative to the parents, translation, shape."""

    rotations: Array  # [b, j, 3, 3]
    shift: Array  # [b, 3]
    betas: Array  # [b, s]


class Problem(NamedTuple):
    """Everything a solver needs to know."""

    body: Body
    camera: View
    evidence: Evidence
    points: Points
    limbs: Limbs
    prior: Prior


class Schedule(NamedTuple):
    """Scales of the robust functions (map pixels), one pair a stage, and at most how many steps each takes."""

    pixel_scale: Array  # [stages]
    point_scale: Array  # [stages]
    steps: Array  # [stages]
    tolerance: Array  # [] a stage ends where a step lowers the energy by less than this share


class Solution(NamedTuple):
    """Where a solver ended: the energy at the last stage's scales, infinite where there was no beginning."""

    state: State
    energy: Array  # [b]
    trace: Array  # [steps, b] the energy after each step, the last one repeated where fewer were made


PERSONAL = ("rotations", "betas", "shift", "anchor", "shape_anchor", "shift_anchor")
"""Fields of the prior with one row a person."""


def select(problem: Problem, people: Array) -> Problem:
    """The problem of some of the people."""
    return problem._replace(
        camera=View(*(value[people] for value in problem.camera)),
        evidence=Evidence(*(value[people] for value in problem.evidence)),
        points=problem.points._replace(place=problem.points.place[people], trust=problem.points.trust[people]),
        limbs=Limbs(problem.limbs.combination, *(value[people] for value in problem.limbs[1:])),
        prior=problem.prior._replace(**{name: getattr(problem.prior, name)[people] for name in PERSONAL}),
    )


def choose(where: Array, one: State, other: State) -> State:
    """For each person ``one`` where true, otherwise ``other``."""
    pairs = zip(one, other, strict=True)
    return State(*(torch.where(where.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in pairs))


def at(state: State, people: Array) -> State:
    """The states of some of the people."""
    return State(*(value[people] for value in state))


def put(whole: State, part: State, people: Array) -> State:
    """``whole`` with ``part`` in the rows ``people``."""
    return State(*(a.index_copy(0, people, b) for a, b in zip(whole, part, strict=True)))
