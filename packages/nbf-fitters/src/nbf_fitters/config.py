"""Configuration of the fitter and of the priors. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nbf_core.config.base import Config

Parameter = Literal["orientation", "translation", "body_pose", "betas"]
Start = Literal["estimate", "aligned", "two-sided"]

BUILT_IN_TERMS = ("likelihood", "keypoints", "anchor", "smooth")
"""The objective's own terms; a stage may override their weights and those of the priors, by name."""


class LikelihoodConfig(Config):
    """How well the body explains the feature map.

    ``soft`` and ``simple`` are the published forms (with and without unknown occlusion), ``mixture`` sums
    the likelihoods of the kernels a pixel sees. ``weight`` is that of the term, ``temperature`` and ``eps``
    belong to the mixture: the contrastive loss's T, and the share of clutter inside the silhouette.
    """

    form: Literal["mixture", "soft", "simple"] = "mixture"
    weight: float = Field(3.0, ge=0)
    temperature: float = Field(0.07, gt=0.005)
    eps: float = Field(0.3, gt=0)
    clutter_centers: int = Field(1, ge=1)
    detach_orientation: bool = True


class KeypointsConfig(Config):
    """The 2D keypoint term.

    ``scale`` is the Geman-McClure scale in pixels of a map of 80 (distances on other maps are brought to
    that). People with no head keypoint over ``min_confidence``, or fewer than ``min_count`` keypoints over
    it, are fitted without keypoints.
    """

    weight: float = Field(1e-2, ge=0)
    scale: float = Field(100.0, gt=0)
    min_confidence: float = Field(0.2, ge=0, le=1)
    min_count: int = Field(7, ge=1)


class StageConfig(Config):
    """One run of Adam over some of the parameters.

    ``decay`` is the share of the learning rate left at the end (cosine). ``weights`` overrides the weights
    of terms by name, ``keypoint_scale`` that of the keypoint term.
    """

    parameters: tuple[Parameter, ...] = Field(min_length=1)
    steps: int = Field(ge=0)
    learning_rate: float = Field(0.02, gt=0)
    decay: float = Field(1.0, ge=0, le=1)
    weights: dict[str, float] = {}
    keypoint_scale: float | None = Field(None, gt=0)


def _stages() -> tuple[StageConfig, ...]:
    return (
        StageConfig(parameters=("orientation", "translation"), steps=40),
        StageConfig(
            parameters=("orientation", "translation", "body_pose", "betas"),
            steps=80,
            decay=0.1,
            keypoint_scale=20.0,
        ),
    )


def _start_stage() -> StageConfig:
    return StageConfig(parameters=("orientation", "translation", "body_pose"), steps=40, weights={"likelihood": 0.0})


class StagedConfig(Config):
    """The staged fitter.

    ``feature_weight`` multiplies the likelihood: what the trained model's measured correspondence quality
    deserves. ``priors`` gives the weight of each prior by name. ``anchor_weight`` pulls towards the start
    that was chosen; ``smooth_weight`` takes the batch for consecutive frames of one person, and pulls
    neighbours together. ``start_stage`` is run from each of ``starts``, and the cheapest goes on.
    People without usable keypoints are fitted by features alone only where trust times ``feature_weight`` is
    at least ``features_alone``: weak features turn a body round. ``min_visible``: such a person of whose body
    clutter explains more than the rest is not fitted either. ``batch_size`` bounds how many people are fitted
    at once (about 70 MB each).
    """

    likelihood: LikelihoodConfig = LikelihoodConfig()
    feature_weight: float = Field(1.0, ge=0)
    keypoints: KeypointsConfig = KeypointsConfig()
    anchor_weight: float = Field(1e-2, ge=0)
    smooth_weight: float = Field(0.0, ge=0)
    priors: dict[str, float] = {"gaussian-pose": 5e-4, "joint-angle": 1e-3, "shape": 3e-3}
    starts: tuple[Start, ...] = Field(("estimate", "aligned", "two-sided"), min_length=1)
    start_stage: StageConfig = Field(default_factory=_start_stage)
    stages: tuple[StageConfig, ...] = Field(default_factory=_stages, min_length=1)
    keep_only_better: bool = True
    features_alone: float = Field(0.5, ge=0)
    min_visible: float = Field(0.1, ge=0, le=1)
    batch_size: int = Field(8, ge=1)

    @model_validator(mode="after")
    def _names(self) -> StagedConfig:
        known = (*BUILT_IN_TERMS, *self.priors)
        for name in self.priors:
            if name in BUILT_IN_TERMS:
                raise ValueError(f"priors.{name}: this name belongs to a term of the objective")
        stages = {"start_stage": self.start_stage} | {f"stages.{i}": s for i, s in enumerate(self.stages)}
        for where, stage in stages.items():
            for name in stage.weights:
                if name not in known:
                    raise ValueError(f"{where}.weights.{name}: no such term; choices: {', '.join(known)}")
        return self


class GaussianPoseConfig(Config):
    """``regularisation`` (rad^2) is added to each variance: joints that never move in the source may a bit.

    ``path`` names another npz with ``mean`` [n] and ``covariance`` [n, n] over axis-angle body poses.
    """

    regularisation: float = Field(1e-2, gt=0)
    path: str | None = None


class JointAngleConfig(Config):
    """``stiffness`` is the published 2: the squared exponential of the angle in radians."""

    stiffness: float = Field(2.0, gt=0)


class ShapeConfig(Config):
    """``free``: how many standard deviations of each component cost nothing."""

    free: float = Field(0.0, ge=0)


class JointConfig(Config):
    """``smooth_spine`` adds the published spine term: over the ``spine``, or over the joints its table meets
    (``published``: left knee, ankle and foot)."""

    smooth_spine: Literal["off", "spine", "published"] = "off"
    smooth_spine_weight: float = Field(1.0, ge=0)


class JointLimitsConfig(Config):
    """``slack``: how many degrees beyond every limit cost nothing."""

    slack: float = Field(0.0, ge=0)


class SmoothJointsConfig(Config):
    """Nothing to set."""


class MixturePoseConfig(Config):
    """``path`` names an npz (``means`` [m, n], ``covars`` [m, n, n], ``weights`` [m]) or SMPLify's ``gmm_08.pkl``,
    which is read as arrays alone. ``regularisation`` (rad^2) is added to each variance."""

    path: str
    regularisation: float = Field(0.0, ge=0)
