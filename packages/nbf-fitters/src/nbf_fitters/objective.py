"""The objective of a fit: all terms, weighted, one value a person."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.contracts import BodyModel, FeatureBank, Prior, Renderer, ScoringRenderer
from nbf_core.geometry.camera import central_ray_rotation
from nbf_core.geometry.orientation import kernel_orientation_weights
from nbf_core.types import BodyOutput, BodyParams, Kernels, Observation, RenderOutput
from nbf_fitters.config import StageConfig, StagedConfig
from nbf_fitters.likelihood import FeatureLikelihood
from nbf_fitters.terms import REFERENCE_SIZE, anchor_cost, keypoint_cost, smooth_cost


class Objective:
    """What ``b`` people cost, given an observation of them; people do not influence one another.

    The exception is the smoothness term, off by default, which takes the batch for consecutive frames.
    """

    def __init__(
        self,
        config: StagedConfig,
        observation: Observation,
        body: BodyModel,
        renderer: Renderer,
        bank: FeatureBank,
        priors: Mapping[str, Prior],
    ):
        self.config, self.observation = config, observation
        self.body, self.renderer, self.priors = body, renderer, priors
        self.weights = {
            "likelihood": config.likelihood.weight,
            "keypoints": config.keypoints.weight if observation.keypoints is not None else 0.0,
            "anchor": config.anchor_weight,
            "smooth": config.smooth_weight,
            **config.priors,
        }
        self._pixel = REFERENCE_SIZE / max(observation.camera.size)
        self._ray = central_ray_rotation(observation.camera)
        self._faces = body.spec.kernel_faces
        self._bank = bank
        self._likelihood: FeatureLikelihood | None = None

    @property
    def likelihood(self) -> FeatureLikelihood:
        """Made on first use: a fit by keypoints alone never pays for the similarities."""
        if self._likelihood is None:
            config = self.config.likelihood
            with torch.no_grad():
                self._likelihood = FeatureLikelihood(
                    config,
                    self.observation.features,
                    self._bank.features.detach(),
                    self._bank.clutter(config.clutter_centers).detach(),
                )
        return self._likelihood

    def stage_weights(self, stage: StageConfig) -> dict[str, float]:
        """The weights in force in a stage; what the observation lacks stays at zero."""
        weights = {**self.weights, **stage.weights}
        weights["likelihood"] *= self.config.feature_weight
        if self.observation.keypoints is None:
            weights["keypoints"] = 0.0
        return weights

    def __call__(self, params: BodyParams, start: BodyParams, stage: StageConfig) -> dict[str, Float[Tensor, "b"]]:
        """The weighted terms by name, differentiable in ``params``; terms without weight are left out."""
        weights = self.stage_weights(stage)
        output = self.body(params, vertices=False)
        terms = {}
        for name, weight in weights.items():
            if weight > 0:
                terms[name] = weight * self._term(name, params, start, output, stage)
        return terms

    def _term(
        self, name: str, params: BodyParams, start: BodyParams, output: BodyOutput, stage: StageConfig
    ) -> Float[Tensor, "b"]:
        if name == "likelihood":
            return self._likelihood_cost(output)
        if name == "keypoints":
            points = self.body.keypoints(output, self.observation.keypoint_set)
            projected = self.observation.camera.project(points)
            scale = stage.keypoint_scale or self.config.keypoints.scale
            return keypoint_cost(projected, self.observation.keypoints, scale, self._pixel)
        if name == "anchor":
            return anchor_cost(params, start)
        if name == "smooth":
            return smooth_cost(params)
        return self.priors[name](params)

    def _likelihood_cost(self, output: BodyOutput) -> Float[Tensor, "b"]:
        if self.config.likelihood.form != "mixture" and isinstance(self.renderer, ScoringRenderer):
            kernels, orientation = self._kernels(output)
            similarities = self.likelihood.similarities
            return self.likelihood.compare(
                self.renderer.score(kernels, self.observation.camera, orientation, similarities)
            )
        rendered, orientation = self.render(output)
        return self.likelihood(rendered.fragments, rendered.silhouette, orientation)

    def render(self, output: BodyOutput) -> tuple[RenderOutput, Float[Tensor, "b k o"]]:
        """The body drawn, and the orientation weights of its kernels (also the attributes drawn)."""
        kernels, orientation = self._kernels(output)
        return self.renderer.render(kernels, self.observation.camera, orientation), orientation

    def _kernels(self, output: BodyOutput) -> tuple[Kernels, Float[Tensor, "b k o"]]:
        spec = self.body.spec
        limbs = spec.kernel_limbs.to(output.kernels.device)
        # A crop shows limbs as a camera would that is turned towards it: bins are relative to its central ray.
        keypoints = self.body.keypoints(output, "openpose-25") @ self._ray
        orientation = kernel_orientation_weights(keypoints, limbs, self._bank.features.shape[1])
        if self.config.likelihood.detach_orientation:
            orientation = orientation.detach()
        precision = output.kernels.new_full(output.kernels.shape[:2], spec.kernel_precision)
        faces = self._faces.to(output.kernels.device).expand(len(precision), -1, -1)
        return Kernels(means=output.kernels, precision=precision, faces=faces), orientation

    @torch.no_grad()
    def occlusion(self, params: BodyParams) -> tuple[Float[Tensor, "b h w"], Bool[Tensor, "b h w"]]:
        """Silhouette, and where clutter explains a pixel inside it (over one half) better than the body."""
        rendered, orientation = self.render(self.body(params, vertices=False))
        body, clutter = self.likelihood.scores(rendered.fragments, orientation)
        hidden = torch.zeros_like(rendered.silhouette, dtype=torch.bool)
        hidden.view(-1)[rendered.fragments.pixel] = clutter > body
        return rendered.silhouette, hidden & (rendered.silhouette > 0.5)
