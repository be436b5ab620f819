"""The fit of a few people at once: look, explore from each start, polish, match again where features are noisy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nbf_core.types import BodyParams, Observation
from nbf_fitters.correspondence.anchors import rescaled
from nbf_fitters.correspondence.config import CorrespondenceConfig, ScheduleConfig
from nbf_fitters.correspondence.flips import better, flipped, strains
from nbf_fitters.correspondence.hidden import outlined
from nbf_fitters.correspondence.matching import (
    Matches,
    Pixels,
    best,
    body_pixels,
    nearby,
    noise_level,
    refine,
    similarities,
)
from nbf_fitters.correspondence.problem import (
    body_record,
    evidence,
    keypoint_record,
    limbs_seen,
    prior_record,
    to_state,
    view,
)
from nbf_fitters.correspondence.records import Prior, Problem, Schedule, Solution, State, at, choose, put, select
from nbf_fitters.correspondence.reference import flat, pose, posed
from nbf_fitters.correspondence.starts import parts_start
from nbf_fitters.correspondence.tables import SkinnedPoints, Tables
from nbf_fitters.precision import multiplies_bfloat16_fast
from nbf_fitters.starts import two_sided
from nbf_fitters.terms import REFERENCE_SIZE

AGREES = 2.0
"""A pixel agrees with a fit where its point lies within so many pixels (of a map of 80)."""

NOISE_SLACK = 6.0
"""By how much more energy is enough where features are noisy, per squared length of the noise."""


Radii = tuple[float, ...]


class Seen(NamedTuple):
    """What the features say: body pixels, and their similarity to every class."""

    pixels: Pixels
    scores: Float[Tensor, "n ko"]


@dataclass(frozen=True)
class Setting:
    """What all fits of a fitter share."""

    config: CorrespondenceConfig
    tables: Tables
    solver: ModuleType
    gaussian: tuple[Tensor, Tensor] | None
    trust: float
    threads: int
    mirror_joints: tuple[int, ...]
    keypoint_weights: Mapping[str, Tensor]
    hidden: tuple[int, ...]

    def product_dtype(self, device: torch.device) -> torch.dtype:
        """The dtype of the large product of features."""
        wanted = self.config.matching.dtype
        if wanted == "auto":
            return torch.bfloat16 if multiplies_bfloat16_fast(device) else torch.float32
        return getattr(torch, wanted)


class ChunkFit:
    """People whose observations and starts are usable; ``keypoints``: for whom they count."""

    def __init__(self, setting: Setting, observation: Observation, given: BodyParams, keypoints: Bool[Tensor, "b"]):
        self.setting, self.observation, self.given = setting, observation, given
        self.people, self.start = len(given.transl), to_state(given)
        self.pixel = REFERENCE_SIZE / max(observation.camera.size)
        # Of features half as good half as many pixels are right, and each deserves half the weight.
        self.say, self.sound = setting.trust**2, setting.trust >= setting.config.features_alone
        self.seen = self._look()
        config, weights = setting.config, setting.keypoint_weights[observation.keypoint_set]
        self.points = keypoint_record(config, observation, weights, keypoints, setting.hidden)
        self.body, self.view = body_record(setting.tables), view(observation.camera)

    def _look(self) -> Seen:
        """Nothing where features do not count."""
        features, tables = self.observation.features, self.setting.tables
        pixels = body_pixels(features if self.setting.trust > 0 else features[:0], tables)
        return Seen(pixels, similarities(pixels, tables, self.setting.product_dtype(features.device)))

    def schedule(self, plan: ScheduleConfig) -> Schedule:
        """Scales in pixels of this map."""
        near = [scale / self.pixel for scale in plan.pixel_scale]
        far = [scale / self.pixel for scale in plan.keypoint_scale]
        return Schedule(near, far, list(plan.steps), plan.tolerance)

    def _solve(self, problem: Problem, state: State, plan: ScheduleConfig) -> Solution:
        return self.setting.solver.solve(problem, state, self.schedule(plan), self.setting.threads)

    def problem(self, pixels: Pixels, matches: Matches, noise: Float[Tensor, "b"]) -> Problem:
        """What these matches say, with the start as it was given for a prior."""
        config, tables = self.setting.config, self.setting.tables
        shown = refine(pixels, matches, tables, noise[pixels.person])
        weight = config.pixel_weight * self.say * self.pixel**2
        trust = torch.full_like(pixels.clutter, weight)
        weights = self.setting.keypoint_weights["openpose-25"]
        firm = config.limb_weight * self.say * self.sound
        limbs = limbs_seen(pixels, matches, tables, weights, self.people, firm)
        seen = evidence(pixels, shown, self.people, trust)
        prior = prior_record(config, self.start, self.setting.gaussian)
        return Problem(self.body, self.view, seen, self.points, limbs, prior)

    def run(self) -> tuple[Problem, Solution]:
        """The fit: the last problem and its solution. Features that are not sound come after keypoints, near them."""
        config, scores = self.setting.config, best(self.seen.scores)
        shown = scores.similarity > self.seen.pixels.clutter
        pixels, matches = self.seen.pixels[shown], scores[shown]
        noise = noise_level(matches.similarity, pixels.person, self.people)
        none = slice(None if self.sound else 0)
        problem, state = self._explore(self.problem(pixels[none], matches[none], noise), noise)
        problem, solution = self._polish(self._rescale(problem, state), state)
        again = noise > config.rematch_noise if self.sound else torch.ones_like(noise, dtype=torch.bool)
        again, radii = again.nonzero()[:, 0], config.rematch if self.sound else config.near
        if len(again) and len(pixels.person):
            problem, solution = self._rematch(problem, solution, noise, again, radii)
        return problem, solution

    def _explore(self, problem: Problem, noise: Float[Tensor, "b"]) -> tuple[Problem, State]:
        """By every other pixel from one start after another, until one explains enough; the one of least energy.

        Returns the problem anchored to the start chosen, and the state found from it.
        """
        config, thin = self.setting.config, thinned(problem)
        twin = to_state(two_sided(self.given, self.setting.mirror_joints))
        least = torch.full_like(self.start.shift[:, 0], torch.inf)
        state, anchor, left = self.start, self.start, torch.arange(self.people, device=least.device)
        for name in config.starts:
            if name.startswith("parts") and not self.sound and name != config.starts[0]:
                continue
            here = select(thin, left)
            held = at(twin if name.endswith("two-sided") else self.start, left)
            begin = parts_start(here, held) if name.startswith("parts") else held
            here = here._replace(prior=anchored(here.prior, held))
            found = self._solve(here, begin, config.explore)
            better = found.energy < least[left]
            least = least.index_put((left,), torch.where(better, found.energy, least[left]))
            state = put(state, choose(better, found.state, at(state, left)), left)
            anchor = put(anchor, choose(better, held, at(anchor, left)), left)
            each = least[left] * self.pixel**2 / here.evidence.trust.sum(-1).clamp_min(1e-9)
            left = left[~(each < config.enough * (1 + NOISE_SLACK * noise[left]))]
            if not len(left):
                break
        return problem._replace(prior=anchored(problem.prior, anchor)), state

    def _rescale(self, problem: Problem, state: State) -> Problem:
        """Anchors as loose as the start proves to be wrong."""
        config = self.setting.config
        scales = self.schedule(config.explore)
        matrix = self.setting.solver.normal_matrix(thinned(problem), state, scales, self.setting.threads)
        return problem._replace(prior=rescaled(problem.prior, state, matrix, config.start_error))

    def _polish(self, problem: Problem, state: State) -> tuple[Problem, Solution]:
        """Fit, strained joints turned over, and again with the outline where unseen limbs left it."""
        config = self.setting.config
        solution = self._turn_over(problem, self._solve(problem, state, config.polish))
        for _ in range(config.outline_rounds):
            weight = config.outline_weight * self.say
            points, outside = outlined(problem, solution.state, self.setting.hidden, weight, self.pixel)
            people = outside.nonzero()[:, 0]
            if not len(people):
                break
            old, new = problem.points, points
            rows = {
                name: getattr(old, name).index_copy(0, people, getattr(new, name)[people])
                for name in ("place", "trust")
            }
            problem = problem._replace(points=old._replace(**rows))
            part = self._solve(select(problem, people), at(solution.state, people), config.polish)
            solution = _put(solution, part, people)
        return problem, solution

    def _turn_over(self, problem: Problem, solution: Solution) -> Solution:
        """Whoever has a strained joint: with the worst one turned over in depth, where that costs less."""
        config, below = self.setting.config, self.setting.tables.below.double()
        if not self.sound or config.flip_strain <= 0:
            return solution
        scale = config.polish.pixel_scale[-1] / self.pixel
        worst, joint = strains(problem, solution.state, scale).max(-1)
        people = (worst > config.flip_strain).nonzero()[:, 0]
        if not len(people):
            return solution
        mine = select(problem, people)
        begin = flipped(mine, at(solution.state, people), joint[people], below)
        return better(solution, self._solve(mine, begin, config.polish), people)

    def _rematch(
        self, problem: Problem, solution: Solution, noise: Float[Tensor, "b"], people: Int[Tensor, "n"], radii: Radii
    ) -> tuple[Problem, Solution]:
        """Match the pixels of ``people`` within ``radii`` of where the fit puts the kernels, and fit again."""
        wanted = torch.isin(self.seen.pixels.person, people)
        pixels, scores = self.seen.pixels[wanted], self.seen.scores[wanted]
        prior = problem.prior
        for radius in radii:
            projected = self._kernels(problem, solution.state)
            matches, near = nearby(scores, pixels, projected, radius / self.pixel)
            near &= matches.similarity > pixels.clutter
            fresh = self.problem(pixels[near], matches[near], noise)
            fresh = fresh._replace(prior=prior, points=problem.points)
            part = self._solve(select(fresh, people), at(solution.state, people), self.setting.config.polish)
            solution = _put(solution, part, people)
            problem = _merged(problem, fresh, people)
        return problem, solution

    def _kernels(self, problem: Problem, state: State) -> Float[Tensor, "b k 2"]:
        """Where the kernels are in the picture."""
        table, shapes = self.setting.tables.kernels.double(), self.setting.tables.shapes
        count = len(table)
        kernels = SkinnedPoints(
            table[:, :3].expand(self.people, -1, -1),
            table[:, 3 : 3 + 3 * shapes].unflatten(-1, (3, shapes)).expand(self.people, -1, -1, -1),
            table[:, 3 + 3 * shapes :].expand(self.people, count, -1),
        )
        return projected(problem, state, kernels).float()

    def energy(self, problem: Problem, state: State) -> Float[Tensor, "b"]:
        """At the scales of the last stage."""
        schedule = self.schedule(self.setting.config.polish)
        return self.setting.solver.solve(problem, state, schedule._replace(steps=[0] * len(schedule.steps))).energy

    def agreeing(self, problem: Problem, state: State) -> Int[Tensor, "b"]:
        """How many pixels lie where the fit puts what they show."""
        seen = problem.evidence
        place = projected(problem, state, SkinnedPoints(seen.rest, seen.directions, seen.weights))
        close = (place - seen.place).norm(dim=-1) < AGREES / self.pixel
        return (close & (seen.trust > 0)).sum(-1)


def thinned(problem: Problem) -> Problem:
    """Every other pixel, at twice the weight."""
    place, trust = problem.evidence.place, problem.evidence.trust
    even = (place.floor().sum(-1) % 2 == 0).to(place)
    return problem._replace(evidence=problem.evidence._replace(trust=2 * even * trust))


def anchored(prior: Prior, start: State) -> Prior:
    """The same expectations about another start."""
    return prior._replace(rotations=start.rotations, betas=start.betas, shift=start.shift)


def projected(problem: Problem, state: State, points: SkinnedPoints) -> Float[Tensor, "b n 2"]:
    """Skinned points of each person in the picture."""
    rest = points.rest + torch.einsum("bnds,bs->bnd", points.directions, state.betas)
    return flat(problem.camera, posed(pose(problem.body, state), rest, points.weights))


def _put(whole: Solution, part: Solution, people: Int[Tensor, "n"]) -> Solution:
    """``whole`` with ``part`` in the rows ``people``; the trace goes on, others' standing still."""
    state = put(whole.state, part.state, people)
    more = whole.trace[-1:].expand(len(part.trace), -1).index_copy(1, people, part.trace)
    energy = whole.energy.index_copy(0, people, part.energy)
    return Solution(state, energy, torch.cat([whole.trace, more]))


def _merged(old: Problem, new: Problem, people: Int[Tensor, "n"]) -> Problem:
    """``old`` with the evidence and limbs of ``people`` from ``new``."""

    def rows(before: Tensor, after: Tensor) -> Tensor:
        most = max(before.shape[1], after.shape[1])
        before, after = (
            torch.cat([v, v.new_zeros(len(v), most - v.shape[1], *v.shape[2:])], dim=1) for v in (before, after)
        )
        return before.index_copy(0, people, after[people])

    seen = type(old.evidence)(*(rows(a, b) for a, b in zip(old.evidence, new.evidence, strict=True)))
    limbs = old.limbs._replace(
        **{name: rows(getattr(old.limbs, name), getattr(new.limbs, name)) for name in ("low", "high", "trust")}
    )
    return old._replace(evidence=seen, limbs=limbs)
