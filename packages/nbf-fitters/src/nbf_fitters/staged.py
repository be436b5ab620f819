"""The staged fitter: several starts, stages of Adam, the best of each person (3DNBF, section 3.4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.contracts import BodyModel, FeatureBank, Prior, Renderer
from nbf_core.errors import ConfigError
from nbf_core.types import BodyParams, FitResult, Observation
from nbf_fitters.config import StageConfig, StagedConfig
from nbf_fitters.objective import Objective
from nbf_fitters.records import Trace, joined, prepared, scatter, unfitted
from nbf_fitters.starts import choose, make_starts
from nbf_fitters.terms import usable_keypoints
from nbf_fitters.variables import BodyVariables, nearest_depth

BETAS = (0.9, 0.99)
"""Adam's, as published."""


class StagedFitter:
    """Fits people to features and keypoints, independently of one another.

    Each start is fitted for a short stage; the cheapest goes through ``stages``, each beginning from the best
    parameters of the one before. ``trust`` in [0, 1] multiplies the weight of the features. Raises ConfigError
    where the configuration weighs a prior that it was not handed.
    """

    def __init__(
        self,
        config: StagedConfig,
        body: BodyModel,
        renderer: Renderer,
        bank: FeatureBank,
        priors: Mapping[str, Prior] | None = None,
        trust: float = 1.0,
    ):
        priors = dict(priors or {})
        config = config.model_copy(update={"feature_weight": config.feature_weight * trust})
        stages = (config.start_stage, *config.stages)
        for name, weight in config.priors.items():
            weighed = weight > 0 or any(stage.weights.get(name, 0) > 0 for stage in stages)
            if weighed and name not in priors:
                raise ConfigError(
                    f"fitter.priors.{name}: this prior was not handed to the fitter; "
                    f"there are: {', '.join(priors) or 'none'}"
                )
        self.config, self.body, self.renderer, self.bank, self.priors = config, body, renderer, bank, priors

    def fit(self, observation: Observation, start: BodyParams) -> FitResult:
        """Fit ``b`` people. Whoever cannot be fitted comes back as the start, with ``kept`` false.

        Raises ShapeError where the batch sizes of observation and start differ.
        """
        observation, start = prepared(observation, start)
        usable, keypoints = self._usable(observation, start)
        result = unfitted(observation, start)
        # A person who is usable is fitted beside those of the same kind only: with or without keypoints.
        alone = usable & ~keypoints & (self.config.feature_weight >= self.config.features_alone)
        for group, with_keypoints in ((usable & keypoints, True), (alone, False)):
            people = group.nonzero()[:, 0]
            size = max(1, len(people)) if self.config.smooth_weight > 0 else self.config.batch_size
            for chunk in people.split(size):
                if len(chunk):
                    with torch.enable_grad():
                        fitted = self._fit(observation[chunk], start[chunk], with_keypoints)
                    result = scatter(result, fitted.detach(), chunk)
        return result

    def _usable(self, observation: Observation, start: BodyParams) -> tuple[Bool[Tensor, "b"], Bool[Tensor, "b"]]:
        """Whose observation and start are complete, and who has keypoints that count."""
        tensors = (observation.features, observation.camera.focal, observation.camera.center)
        tensors += (start.global_orient, start.body_pose, start.betas, start.transl)
        usable = torch.stack([tensor.flatten(1).isfinite().all(-1) for tensor in tensors]).all(0)
        if observation.keypoints is None:
            keypoints = torch.zeros_like(usable)
        else:
            config = self.config.keypoints
            keypoints = usable_keypoints(
                observation.keypoints, observation.keypoint_set, config.min_confidence, config.min_count
            )
            keypoints &= config.weight > 0
        # Features can draw a body near; they cannot find one that is not before the camera.
        before = start.transl[:, 2] >= nearest_depth(observation.camera)
        features = before & (self.config.feature_weight * self.config.likelihood.weight > 0)
        return usable & (keypoints | features), keypoints

    def _fit(self, observation: Observation, given: BodyParams, with_keypoints: bool) -> FitResult:
        if not with_keypoints:
            observation = replace(observation, keypoints=None)
        objective = Objective(self.config, observation, self.body, self.renderer, self.bank, self.priors)
        last = self.config.stages[-1]
        start = self._best_start(objective, given, with_keypoints)
        params, trace = start, []
        for stage in self.config.stages:
            params, steps = descend(objective, params, start, stage)
            trace += steps
        with torch.no_grad():
            loss = _total(objective(params, start, last), start)
            start_loss = _total(objective(given, given, last), start)
        kept = loss < start_loss if self.config.keep_only_better else loss.isfinite()
        silhouette, occlusion = objective.occlusion(params)
        if not with_keypoints:
            body = (silhouette > 0.5).flatten(1).sum(-1)
            seen = body - occlusion.flatten(1).sum(-1)
            kept &= seen > self.config.min_visible * body
        params, _ = choose(params, -kept.to(loss), given, torch.zeros_like(loss))
        if not kept.all():
            silhouette, occlusion = objective.occlusion(params)
        loss = torch.where(kept, loss, start_loss)
        numbers = {"loss": loss, "start_loss": start_loss, "silhouette": silhouette}
        return FitResult(
            params=params,
            start=given,
            kept=kept,
            occlusion=occlusion,
            trace=joined(trace),
            **{name: torch.nan_to_num(value) for name, value in numbers.items()},
        )

    def _best_start(self, objective: Objective, given: BodyParams, with_keypoints: bool) -> BodyParams:
        """The start whose short fit costs least in the objective of the last stage, after that short fit."""
        stage = self.config.start_stage
        if not with_keypoints:
            # The features have to decide, and decide about place and turn first.
            weights = {name: weight for name, weight in stage.weights.items() if name != "likelihood"}
            stage = stage.model_copy(update={"weights": weights, "parameters": ("orientation", "translation")})
        with torch.no_grad():
            starts = make_starts(self.config.starts, given, self.body, objective.observation, with_keypoints)
        if len(starts) == 1 and not stage.steps:
            return next(iter(starts.values()))
        best, best_cost = given, torch.full_like(given.transl[:, 0], torch.inf)
        for start in starts.values():
            fitted, _ = descend(objective, start, start, stage)
            with torch.no_grad():
                cost = _total(objective(fitted, start, self.config.stages[-1]), start)
            best, best_cost = choose(fitted, cost, best, best_cost)
        return best


def descend(objective: Objective, base: BodyParams, start: BodyParams, stage: StageConfig) -> tuple[BodyParams, Trace]:
    """Adam from ``base`` in one stage: the best parameters of each person, and all terms at each step.

    ``start`` is what the anchor holds on to. The parameters after the last step are scored as well.
    """
    camera = objective.observation.camera
    variables = BodyVariables(base, stage.parameters, nearest_depth(camera))
    optimiser = torch.optim.Adam(variables.leaves, lr=stage.learning_rate, betas=BETAS)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, stage))
    best, best_cost = base, torch.full_like(base.transl[:, 0], torch.inf)
    trace: Trace = []
    for step in range(stage.steps + 1):
        params = variables.params()
        terms = objective(params, start, stage)
        total = _total(terms, start)
        best, best_cost = choose(params.detach(), total.detach(), best, best_cost)
        trace.append({name: value.detach() for name, value in terms.items()} | {"total": total.detach()})
        if step == stage.steps or not total.requires_grad:  # nothing that is weighted depends on what is free
            break
        optimiser.zero_grad()
        total.sum().backward()
        variables.clean_gradients()
        optimiser.step()
        schedule.step()
    return best, trace


def _rate(step: int, stage: StageConfig) -> float:
    """The share of the learning rate in force at a step: a cosine from 1 to ``decay``."""
    return stage.decay + (1 - stage.decay) * 0.5 * (1 + math.cos(math.pi * step / max(stage.steps, 1)))


def _total(terms: dict[str, Tensor], start: BodyParams) -> Float[Tensor, "b"]:
    """The sum of the terms; zero for everybody where no term has a weight."""
    return torch.stack([torch.zeros_like(start.transl[:, 0]), *terms.values()]).sum(0)
