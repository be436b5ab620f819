"""The objective of a fit: all terms, weighted, one value a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbf_core.contracts import BodyModel, FeatureBank, Prior, Renderer, ScoringRenderer
from nbf_core.conventions import KEYPOINT_SETS
from nbf_core.types import BodyParams, Observation
from nbf_fitters import terms
from nbf_fitters.config import BUILT_IN_TERMS, StageConfig, StagedConfig
from nbf_fitters.detected import detect_vertices
from nbf_fitters.likelihood import FeatureLikelihood
from nbf_fitters.scene import Scene, Viewer
from nbf_fitters.variables import joint_indices

FAINT = 1e-3
"""Where the silhouette is weaker than this there is no body to have a score."""


@dataclass(frozen=True)
class Frames:
    """Frames of a film that are fitted already, and their numbers."""

    numbers: Int[Tensor, "n"]
    params: BodyParams


class Objective:
    """What ``b`` people cost, given an observation of them; people do not influence one another.

    Unless ``frames`` numbers them as frames of one person's film: then terms tie neighbours together, frames
    ``before`` them, which are fitted already, included.
    """

    def __init__(
        self,
        config: StagedConfig,
        observation: Observation,
        body: BodyModel,
        renderer: Renderer,
        bank: FeatureBank,
        priors: Mapping[str, Prior],
        frames: Int[Tensor, "b"] | None = None,
        before: Frames | None = None,
    ):
        self.config, self.observation, self.priors, self.frames = config, observation, priors, frames
        bins, detach = bank.features.shape[1], config.likelihood.detach_orientation
        self.viewer = Viewer(body, renderer, observation.camera, bins, detach, config.inset)
        self.held = joint_indices(body.spec.joint_names, config.held_joints)
        self._bank, self._before = bank, before
        self._pixel = terms.REFERENCE_SIZE / max(observation.camera.size)
        self._anchor: tuple[BodyParams, Tensor] | None = None

    @cached_property
    def likelihood(self) -> FeatureLikelihood:
        """Made on first use: a fit by keypoints alone never pays for the similarities."""
        config = self.config.likelihood
        with torch.no_grad():
            bank, clutter = self._bank.features.detach(), self._bank.clutter(config.clutter_centers).detach()
            return FeatureLikelihood(config, self.observation.features, bank, clutter, self.observation.silhouette)

    @cached_property
    def _vertices(self) -> Float[Tensor, "b k 3"]:
        """Where the features show each kernel: x, y and how surely, as keypoints."""
        with torch.no_grad():
            place, sure = detect_vertices(self.observation.features, self._bank.features.detach())
            pixel = place[..., 1] * self.observation.camera.size[1] + place[..., 0]
            clutter = self.likelihood.clutter.view(len(place), -1).gather(1, pixel)
            sure = torch.where((sure > clutter) & (sure > self.config.vertices.min_confidence), sure, 0)
            return torch.cat([place + 0.5, sure[..., None]], dim=-1)

    @cached_property
    def _torso(self) -> Float[Tensor, "b n 3"]:
        names = KEYPOINT_SETS[self.observation.keypoint_set]
        keypoints = self.observation.keypoints
        share = keypoints.new_tensor([float(name in terms.TORSO) for name in names])
        return torch.cat([keypoints[..., :2], keypoints[..., 2:] * share[:, None]], dim=-1)

    def stage_weights(self, stage: StageConfig) -> dict[str, float]:
        """The positive weights in force in a stage; what the observation lacks has none."""
        config, observation = self.config, self.observation
        weights = {
            "likelihood": config.likelihood.weight,
            "keypoints": config.keypoints.weight,
            "vertices": config.vertices.weight,
            "silhouette": config.silhouette_weight,
            "anchor": config.anchor_weight,
            "depth": config.depth_weight,
            "smooth": config.sequence.smooth,
            "acceleration": config.sequence.acceleration,
            **{name: weight * stage.prior_scale for name, weight in config.priors.items()},
            **stage.weights,
        }
        for name in ("likelihood", "vertices"):
            weights[name] *= config.feature_weight
        if observation.keypoints is None:
            weights["keypoints"] = 0.0
        if observation.silhouette is None:
            weights["silhouette"] = 0.0
        if self.frames is None:
            weights["smooth"] = weights["acceleration"] = 0.0
        return {name: weight for name, weight in weights.items() if weight > 0}

    def __call__(self, params: BodyParams, start: BodyParams, stage: StageConfig) -> dict[str, Float[Tensor, "b"]]:
        """The weighted terms by name, differentiable in ``params``; terms without weight are left out."""
        scene = self.viewer.scene(params)
        weights = self.stage_weights(stage)
        return {name: weight * self._cost(name, scene, start, stage) for name, weight in weights.items()}

    def joint(self, cost: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
        """What decides between parameters: each person's own cost, for frames of one person the mean of all."""
        return cost if self.frames is None else cost.mean().expand_as(cost)

    def _cost(self, name: str, scene: Scene, start: BodyParams, stage: StageConfig) -> Float[Tensor, "b"]:
        if name in BUILT_IN_TERMS:
            return getattr(self, f"_{name}_cost")(scene, start, stage)
        return self.priors[name](scene.params)

    def _likelihood_cost(self, scene: Scene, start: BodyParams, stage: StageConfig) -> Float[Tensor, "b"]:
        renderer, likelihood = self.viewer.renderer, self.likelihood
        if self.config.likelihood.form != "mixture" and isinstance(renderer, ScoringRenderer):
            similarities = likelihood.similarities
            return likelihood.compare(
                renderer.score(scene.kernels, self.viewer.camera, scene.orientation, similarities)
            )
        return likelihood(scene.drawn.fragments, scene.drawn.silhouette, scene.orientation)

    def _keypoints_cost(self, scene: Scene, start: BodyParams, stage: StageConfig) -> Float[Tensor, "b"]:
        projected = self.viewer.camera.project(scene.points(self.observation.keypoint_set))
        keypoints = self.observation.keypoints if stage.keypoints == "all" else self._torso
        scale = stage.keypoint_scale or self.config.keypoints.scale
        return terms.keypoint_cost(projected, keypoints, scale, self._pixel)

    def _vertices_cost(self, scene: Scene, start: BodyParams, stage: StageConfig) -> Float[Tensor, "b"]:
        projected = self.viewer.camera.project(scene.output.kernels)
        return terms.keypoint_cost(projected, self._vertices, self.config.vertices.scale, self._pixel)

    def _silhouette_cost(self, scene: Scene, start: BodyParams, stage: StageConfig) -> Float[Tensor, "b"]:
        return terms.silhouette_cost(scene.drawn.silhouette, self.observation.silhouette)

    def _anchor_cost(self, scene: Scene, start: BodyParams, stage: StageConfig) -> Float[Tensor, "b"]:
        if self._anchor is None or self._anchor[0] is not start:
            self._anchor = (start, terms.unit_quaternions(start).detach())
        return terms.rotation_distance(scene.turns, self._anchor[1]).sum(-1)

    def _depth_cost(self, scene: Scene, start: BodyParams, stage: StageConfig) -> Float[Tensor, "b"]:
        return terms.depth_cost(scene.params, start)

    def _smooth_cost(self, scene: Scene, start: BodyParams, stage: StageConfig) -> Float[Tensor, "b"]:
        turns, _, frames = self._context
        return terms.turning_cost(torch.cat([turns, scene.turns]), frames)[len(turns) :]

    def _acceleration_cost(self, scene: Scene, start: BodyParams, stage: StageConfig) -> Float[Tensor, "b"]:
        _, joints, frames = self._context
        return terms.acceleration_cost(torch.cat([joints, scene.output.joints]), frames)[len(joints) :]

    @cached_property
    def _context(self) -> tuple[Float[Tensor, "n j 4"], Float[Tensor, "n j 3"], Int[Tensor, "nb"]]:
        """Rotations and joints of the frames before these, and the numbers of all."""
        before, body = self._before, self.viewer.body
        if before is None:
            like, joints = self.observation.features, len(body.spec.joint_names)
            return like.new_zeros(0, joints, 4), like.new_zeros(0, joints, 3), self.frames
        with torch.no_grad():
            joints = body(before.params, vertices=False).joints
            return terms.unit_quaternions(before.params), joints, torch.cat([before.numbers, self.frames])

    @torch.no_grad()
    def explain(self, params: BodyParams) -> dict[str, Tensor]:
        """Silhouette, scores, and where clutter explains a pixel inside it (over one half) better than the body.

        The fields of a :class:`~nbf_core.types.FitResult` that are maps.
        """
        scene = self.viewer.scene(params)
        drawn = scene.drawn
        body, clutter = self.likelihood.scores(drawn.fragments, scene.orientation)
        pixel, silhouette = drawn.fragments.pixel, drawn.silhouette
        hidden = torch.zeros_like(silhouette, dtype=torch.bool).view(-1).index_copy(0, pixel, clutter > body)
        score = torch.zeros_like(silhouette).view(-1).index_copy(0, pixel, body.to(silhouette).clamp(-1, 1))
        maps = {
            "silhouette": silhouette,
            "object_score": torch.where(silhouette > FAINT, score.view_as(silhouette), 0),
            "clutter_score": self.likelihood.clutter.view_as(silhouette),
        }
        maps = {name: torch.nan_to_num(value) for name, value in maps.items()}
        return {**maps, "occlusion": hidden.view_as(silhouette) & (silhouette > 0.5)}
