"""Runs from several starts, and which of them goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbf_core.types import BodyParams
from nbf_fitters.config import StageConfig
from nbf_fitters.descent import Course, descend, total_of
from nbf_fitters.objective import Objective
from nbf_fitters.records import select
from nbf_fitters.terms import rotation_distance, unit_quaternions


@dataclass(frozen=True)
class Run:
    """A fit on its way: where it is, what its anchor holds on to, and its cost in the last stage's objective.

    ``alone`` is the cost without what ties frames together.
    """

    params: BodyParams
    anchor: BodyParams
    course: Course
    cost: Float[Tensor, "b"]
    alone: Float[Tensor, "b"]


def through(objective: Objective, start: BodyParams, stages: Sequence[StageConfig], every: int) -> Run:
    """From a start through some stages, held by that start."""
    course, params = Course(every), start
    for stage in stages:
        params = descend(objective, params, start, stage, course)
    return _scored(objective, params, start, course)


def go_on(objective: Objective, run: Run, stages: Sequence[StageConfig]) -> Run:
    """Through further stages, held by where the run stands."""
    params = run.params
    for stage in stages:
        params = descend(objective, params, run.params, stage, run.course)
    return _scored(objective, params, run.params, run.course)


def cheapest(objective: Objective, runs: Sequence[Run]) -> Run:
    """Of each person the run that costs least; of frames of one person the cheapest way through their runs."""
    if len(runs) == 1:
        return runs[0]
    if objective.frames is None:
        # Whatever is not a number loses.
        index = torch.stack([run.cost for run in runs]).nan_to_num(nan=torch.inf).argmin(0)
    else:
        turns = torch.stack([unit_quaternions(run.params) for run in runs])
        step = rotation_distance(turns[:, None, :-1], turns[None, :, 1:]).sum(-1)
        weight = objective.config.sequence.smooth * (objective.frames.diff() == 1).to(step)
        index = cheapest_path(torch.stack([run.alone for run in runs]).nan_to_num(nan=1e30), weight * step)
    person = torch.arange(len(index), device=index.device)
    return Run(
        params=select([run.params for run in runs], index),
        anchor=select([run.anchor for run in runs], index),
        course=Course.select([run.course for run in runs], index),
        cost=torch.stack([run.cost for run in runs])[index, person],
        alone=torch.stack([run.alone for run in runs])[index, person],
    )


def cheapest_path(cost: Float[Tensor, "s n"], step: Float[Tensor, "s s m"]) -> Int[Tensor, "n"]:
    """Which of ``s`` states to be in at each of ``n`` times, by dynamic programming.

    ``step[i, j, t]`` is what it costs to go from state i at time t to state j at time t + 1 (``m`` = ``n - 1``).
    """
    total, came = cost[:, 0], []
    for time in range(step.shape[-1]):
        best, source = (total[:, None] + step[..., time]).min(0)
        total = best + cost[:, time + 1]
        came.append(source)
    path = [total.argmin()]
    for source in reversed(came):
        path.append(source[path[-1]])
    return torch.stack(path[::-1])


@torch.no_grad()
def _scored(objective: Objective, params: BodyParams, anchor: BodyParams, course: Course) -> Run:
    terms = objective(params, anchor, objective.config.stages[-1])
    alone = {name: value for name, value in terms.items() if name not in ("smooth", "acceleration")}
    return Run(params, anchor, course, total_of(terms, anchor), total_of(alone, anchor))
