"""Adam over the parameters of many people at once; what it passes through is noted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbf_core.types import BodyParams
from nbf_fitters.config import StageConfig
from nbf_fitters.objective import Objective
from nbf_fitters.records import pick, select
from nbf_fitters.variables import BodyVariables, nearest_depth

BETAS = (0.9, 0.99)
"""Adam's, as published."""

EPSILON = 1e-8


@dataclass
class Course:
    """What a fit passes through: each term at each step, some parameters, and the steps at which stages begin."""

    every: int = 0
    terms: list[dict[str, Tensor]] = field(default_factory=list)
    history: dict[int, BodyParams] = field(default_factory=dict)
    stages: list[int] = field(default_factory=list)

    def note(self, terms: Mapping[str, Tensor], total: Float[Tensor, "b"], params: BodyParams, last: bool) -> None:
        """One step; its parameters where their turn has come, and at the end of a stage."""
        if self.every and (len(self.terms) % self.every == 0 or last):
            self.history[len(self.terms)] = params.detach().clone()
        self.terms.append({name: value.detach() for name, value in terms.items()} | {"total": total.detach()})

    @classmethod
    def select(cls, courses: Sequence[Course], index: Int[Tensor, "b"]) -> Course:
        """Each person's part of one of several courses of the same length."""
        first = courses[0]

        def one(values: Sequence[Tensor]) -> Tensor:
            return torch.stack(list(values))[index, torch.arange(len(index), device=index.device)]

        zero = torch.zeros_like(first.terms[0]["total"]) if first.terms else None
        terms = [
            {name: one([step.get(name, zero) for step in steps]) for name in dict.fromkeys(n for s in steps for n in s)}
            for steps in zip(*(course.terms for course in courses), strict=True)
        ]
        history = {step: select([course.history[step] for course in courses], index) for step in first.history}
        return cls(first.every, terms, history, list(first.stages))

    def joined(self) -> dict[str, Float[Tensor, "steps b"]]:
        """Terms over all steps; a term without weight in some stage is zero there."""
        names = dict.fromkeys(name for step in self.terms for name in step)
        zero = torch.zeros_like(self.terms[0]["total"])
        return {name: torch.nan_to_num(torch.stack([step.get(name, zero) for step in self.terms])) for name in names}


class Adam:
    """Adam (Kingma and Ba, 2015) on one tensor [b, n]: what torch's does, without its overhead for many small ones.

    Its steps are of one length in every direction, those included in which the objective is flat: started at the
    truth it walks away from it. With ``damping`` that share of the root mean square of a person's gradients over all
    their variables stands beside each variable's own in the denominator, so that such directions stay put.
    """

    def __init__(self, variable: Float[Tensor, "b n"], damping: float = 0.0):
        self.variable, self.steps, self.damping = variable, 0, damping
        self.mean, self.square = torch.zeros_like(variable), torch.zeros_like(variable)

    @torch.no_grad()
    def step(self, gradient: Tensor, rate: float) -> None:
        """Move against the gradient."""
        self.steps += 1
        first, second = BETAS
        self.mean.lerp_(gradient, 1 - first)
        self.square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        scale = self.square.sqrt()
        if self.damping:
            scale.add_(self.square.mean(-1, keepdim=True).sqrt_(), alpha=self.damping)
        scale.div_(math.sqrt(1 - second**self.steps)).add_(EPSILON)
        self.variable.addcdiv_(self.mean, scale, value=-rate / (1 - first**self.steps))


def descend(
    objective: Objective, base: BodyParams, start: BodyParams, stage: StageConfig, course: Course
) -> BodyParams:
    """Adam from ``base`` in one stage: the best parameters of each person. ``course`` takes notes.

    ``start`` is what anchor and depth hold on to. The parameters after the last step are scored as well. Frames of one
    person are best together: each is taken from the same step.
    """
    config, camera = objective.config, objective.observation.camera
    course.stages.append(len(course.terms))
    variables = BodyVariables(
        base,
        stage.parameters,
        nearest_depth(camera),
        plain=config.parametrisation == "published",
        held=objective.held,
        shared=objective.frames is not None and config.sequence.shared_shape,
    )
    optimiser = Adam(variables.steps, stage.damping)
    best = torch.zeros_like(variables.steps)
    best_cost = torch.full_like(base.transl[:, 0], torch.inf)
    for step in range(stage.steps + 1):
        params = variables.params()
        terms = objective(params, start, stage)
        total = total_of(terms, start)
        with torch.no_grad():
            cost = objective.joint(total)
            better = cost < best_cost
            best = torch.where(better[:, None], variables.steps, best)
            best_cost = torch.where(better, cost, best_cost)
        course.note(terms, total, params, last=step == stage.steps)
        if step < stage.steps and total.requires_grad:  # else nothing that is weighted depends on what is free
            optimiser.step(variables.gradient(total), learning_rate(step, stage))
    with torch.no_grad():
        variables.steps.copy_(best)
        found = variables.params().detach()
    return pick(best_cost.isfinite(), found, base)


def learning_rate(step: int, stage: StageConfig) -> float:
    """The learning rate in force at a step: a cosine from all of it to the share ``decay``."""
    share = stage.decay + (1 - stage.decay) * 0.5 * (1 + math.cos(math.pi * step / max(stage.steps, 1)))
    return share * stage.learning_rate


def total_of(terms: Mapping[str, Tensor], start: BodyParams) -> Float[Tensor, "b"]:
    """The sum of the terms; zero for everybody where no term has a weight."""
    return sum(terms.values(), torch.zeros_like(start.transl[:, 0]))
