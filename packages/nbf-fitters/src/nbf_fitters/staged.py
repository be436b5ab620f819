"""The staged fitter: several starts, stages of Adam, the best of each person (3DNBF, section 3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from nbf_core.contracts import BodyModel, FeatureBank, Prior, Renderer
from nbf_core.errors import ConfigError
from nbf_core.types import BodyParams, FitResult, Observation
from nbf_fitters.config import StageConfig, StagedConfig
from nbf_fitters.descent import total_of
from nbf_fitters.objective import Frames, Objective
from nbf_fitters.records import finite_people, pick, prepared, scatter, unfitted
from nbf_fitters.runs import Run, cheapest, go_on, through
from nbf_fitters.starts import make_starts, without_wild_shapes
from nbf_fitters.terms import usable_keypoints
from nbf_fitters.variables import joint_indices, nearest_depth


class StagedFitter:
    """Fits people to features and keypoints, independently of one another; or the frames of one person together.

    Each start is fitted for a short stage; the cheapest goes through ``stages``, each beginning from the best
    parameters of the one before. ``trust`` in [0, 1] multiplies the weight of the features. Raises ConfigError
    where the configuration weighs a prior that it was not handed, or holds a joint that the body lacks.
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
        joint_indices(body.spec.joint_names, config.held_joints)
        self.config, self.body, self.renderer, self.bank, self.priors = config, body, renderer, bank, priors

    def fit(self, observation: Observation, start: BodyParams) -> FitResult:
        """Fit ``b`` people. Whoever cannot be fitted comes back as the start, with ``kept`` false.

        Raises ShapeError where the batch sizes of observation and start differ.
        """
        observation, start = prepared(observation, start)
        usable, keypoints = self._usable(observation, start)
        result = unfitted(observation, start)
        # A person who is usable is fitted beside those of the same kind only: with or without keypoints.
        for group, with_keypoints in ((usable & keypoints, True), (usable & ~keypoints, False)):
            for chunk in group.nonzero()[:, 0].split(self.config.batch_size):
                if len(chunk):
                    objective = self._objective(observation[chunk], with_keypoints)
                    result = scatter(result, self._fit(objective, start[chunk], with_keypoints), chunk)
        return result

    def fit_sequence(self, observation: Observation, start: BodyParams, before: BodyParams | None = None) -> FitResult:
        """Fit ``b`` consecutive frames of one person together, window by window.

        The first window goes on from ``before``, the fitted frames right before these, where they are given.

        A frame without usable keypoints follows its neighbours; one that is not made of numbers comes back as the
        start, with ``kept`` false. The shape is that of the first window. Raises ShapeError as :meth:`fit`.
        """
        observation, start = prepared(observation, start)
        result = unfitted(observation, start)
        finite, (usable, keypoints) = finite_people(observation, start), self._usable(observation, start)
        if not usable.any():
            return result
        with_keypoints = bool(keypoints.any())
        if with_keypoints:
            # Who has none of use takes part without: a confidence of zero.
            observation = replace(observation, keypoints=observation.keypoints * keypoints[:, None, None])
        known = None if before is None else _numbered(before)
        for chunk in finite.nonzero()[:, 0].split(self.config.sequence.window):
            given = start[chunk]
            if known is not None and self.config.sequence.shared_shape:
                given = replace(given, betas=known.params.betas[-1:].expand_as(given.betas))
            objective = self._objective(observation[chunk], with_keypoints, chunk, known)
            fitted = self._fit(objective, given, with_keypoints)
            known = Frames(chunk[-2:], fitted.params[-2:])
            result = scatter(result, replace(fitted, start=start[chunk]), chunk)
        return result

    def _usable(self, observation: Observation, start: BodyParams) -> tuple[Bool[Tensor, "b"], Bool[Tensor, "b"]]:
        """Who can be fitted, and who has keypoints that count."""
        config = self.config
        usable = finite_people(observation, start)
        if observation.keypoints is None or config.keypoints.weight == 0:
            keypoints = torch.zeros_like(usable)
        else:
            limits = config.keypoints.min_confidence, config.keypoints.min_count, config.keypoints.needs_head
            keypoints = usable_keypoints(observation.keypoints, observation.keypoint_set, *limits)
        # Features can draw a body near; they cannot find one that is not before the camera.
        features = start.transl[:, 2] >= nearest_depth(observation.camera)
        features &= config.feature_weight * config.likelihood.weight > 0
        features &= config.feature_weight >= config.features_alone
        return usable & (keypoints | features), keypoints

    def _objective(
        self,
        observation: Observation,
        with_keypoints: bool,
        frames: Tensor | None = None,
        before: Frames | None = None,
    ) -> Objective:
        if not with_keypoints:
            observation = replace(observation, keypoints=None)
        config = self.config
        if before is not None and config.sequence.shared_shape:  # the shape is known by now
            fixed = [
                stage.model_copy(update={"parameters": tuple(p for p in stage.parameters if p != "betas")})
                for stage in config.stages
            ]
            config = config.model_copy(update={"stages": tuple(fixed)})
        return Objective(config, observation, self.body, self.renderer, self.bank, self.priors, frames, before)

    @torch.enable_grad()
    def _fit(self, objective: Objective, given: BodyParams, with_keypoints: bool) -> FitResult:
        config, last = objective.config, objective.config.stages[-1]
        run = self._best_run(objective, given, with_keypoints)
        with torch.no_grad():
            start_loss = total_of(objective(given, given, last), given)
            joint, joint_start = objective.joint(run.cost), objective.joint(start_loss)
        kept = joint < joint_start if config.keep_only_better else joint.isfinite()
        maps = objective.explain(run.params)
        if not with_keypoints:
            body = (maps["silhouette"] > 0.5).flatten(1).sum(-1)
            seen = body - maps["occlusion"].flatten(1).sum(-1)
            kept &= seen > config.min_visible * body
        params = pick(kept, run.params, given)
        if not kept.all():
            maps = objective.explain(params)
        return FitResult(
            params=params,
            start=given,
            loss=torch.nan_to_num(torch.where(kept, run.cost, start_loss)),
            start_loss=torch.nan_to_num(start_loss),
            kept=kept,
            trace=run.course.joined(),
            stages=tuple(run.course.stages),
            history=run.course.history,
            **maps,
        ).detach()

    def _best_run(self, objective: Objective, given: BodyParams, with_keypoints: bool) -> Run:
        """All stages, from the start that is cheapest: as it is, after a short fit, or after all of them."""
        config, body = objective.config, self.body
        with torch.no_grad():
            given = without_wild_shapes(given, config.shape_limit)
            starts = make_starts(
                config.starts, given, body, objective.observation, with_keypoints, config.place
            ).values()
        early = self._start_stage(with_keypoints)
        early = () if config.starts_by == "cost" or not early.steps else (early,)
        runs = [through(objective, start, early, config.history_every) for start in starts]
        if config.starts_by != "fit":
            runs = [cheapest(objective, runs)]
        return cheapest(objective, [go_on(objective, run, config.stages) for run in runs])

    def _start_stage(self, with_keypoints: bool) -> StageConfig:
        stage = self.config.start_stage
        if with_keypoints:
            return stage
        # The features have to decide, and decide about place and turn first.
        weights = {name: weight for name, weight in stage.weights.items() if name != "likelihood"}
        return stage.model_copy(update={"weights": weights, "parameters": ("orientation", "translation")})


def _numbered(before: BodyParams) -> Frames:
    """The frames right before frame 0."""
    return Frames(torch.arange(-len(before.transl), 0, device=before.transl.device), before)
