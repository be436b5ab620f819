"""Memory that the compiled solver works in, made once for each thread."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = Any


class World(NamedTuple):
    """The posed skeleton and its derivatives by the shape."""

    rest: Array
    turn: Array
    place: Array
    offset: Array
    place_shape: Array
    offset_shape: Array


class Lever(NamedTuple):
    """A point and its lever arms about all joints."""

    point: Array
    moment: Array
    share: Array
    used: Array
    by_shape: Array
    blend: Array


class System(NamedTuple):
    """Normal matrix (upper half) and gradient."""

    matrix: Array
    gradient: Array


class Work(NamedTuple):
    """Memory for one thread."""

    world: World
    lever: Lever
    system: System
    row: Array
    other_row: Array
    active: Array
    point: Array
    vector: Array
    turn: Array
    jacobian: Array
    jacobians: Array
    offset: Array
    pull: Array
    factor: Array
    step: Array
    trial: Array
    trial_shift: Array
    trial_betas: Array


def workspace(joints: int, shapes: int) -> Work:
    """Memory for one thread at a time."""
    n = 3 * joints + 3 + shapes
    new = np.zeros
    return Work(
        world=World(
            new((joints, 3)), new((joints, 3, 3)), new((joints, 3)), new((joints, 3)),
            new((joints, 3, shapes)), new((joints, 3, shapes)),
        ),
        lever=Lever(new(3), new((joints, 3)), new(joints), new(joints, np.bool_), new((3, shapes)), new((3, 3))),
        system=System(new((n, n)), new(n)),
        row=new(n), other_row=new(n), active=new(n, np.int64), point=new(3), vector=new(3), turn=new((3, 3)),
        jacobian=new((3, 3)), jacobians=new((joints - 1, 3, 3)), offset=new(3 * joints - 3), pull=new(3 * joints - 3),
        factor=new((n, n)), step=new(n), trial=new((joints, 3, 3)), trial_shift=new(3), trial_betas=new(shapes),
    )  # fmt: skip
