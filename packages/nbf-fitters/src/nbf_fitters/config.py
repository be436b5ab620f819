"""Configuration of the fitter and of the priors. Imports no torch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from nbf_core.config.base import Config

Parameter = Literal["orientation", "translation", "body_pose", "betas"]
Start = Literal["estimate", "aligned", "two-sided"]

BUILT_IN_TERMS = (
    "likelihood", "keypoints", "vertices", "silhouette", "anchor", "depth", "smooth", "acceleration",
)  # fmt: skip
"""The objective's own terms; a stage may override their weights and those of the priors, by name."""


INSET = 0.63
"""Standard deviations of a kernel by which it is drawn under the skin: with that the drawn body covers as many pixels
as a real one. On the skin its silhouette is 7 % too large (docs/fitting.md)."""


class LikelihoodConfig(Config):
    """How well the body explains the feature map.

    ``soft`` and ``simple`` are the published forms (with and without unknown occlusion), ``mixture`` sums
    the likelihoods of the kernels a pixel sees. ``weight`` is that of the term, ``temperature`` and ``eps``
    belong to the mixture: the contrastive loss's T, and the share of clutter inside the silhouette; ``segmentation``
    lets the observation's silhouette, where it has one, speak for clutter beside the features.
    """

    form: Literal["mixture", "soft", "simple"] = "mixture"
    weight: float = Field(3.0, ge=0)
    temperature: float = Field(0.07, gt=0.005)
    eps: float = Field(0.3, gt=0)
    clutter_centers: int = Field(1, ge=1)
    detach_orientation: bool = True
    segmentation: bool = True


class KeypointsConfig(Config):
    """The 2D keypoint term.

    ``scale`` is the Geman-McClure scale in pixels of a map of 80 (distances on other maps are brought to
    that). People with fewer than ``min_count`` keypoints over ``min_confidence`` are fitted without keypoints;
    with ``needs_head`` (published) so are those with none of the head over it.
    """

    weight: float = Field(1e-2, ge=0)
    scale: float = Field(100.0, gt=0)
    min_confidence: float = Field(0.2, ge=0, le=1)
    min_count: int = Field(7, ge=1)
    needs_head: bool = False


class VerticesConfig(Config):
    """The term that pulls each kernel to the pixel that looks most like it.

    ``scale`` as for keypoints. Pixels whose cosine is below ``min_confidence``, or that clutter explains better,
    pull nothing.
    """

    weight: float = Field(0.0, ge=0)
    scale: float = Field(100.0, gt=0)
    min_confidence: float = Field(0.5, ge=-1, le=1)


class SequenceConfig(Config):
    """How frames of one person hang together where a film is fitted; of no effect on single pictures.

    ``smooth`` weighs the squared rotation from frame to frame, ``acceleration`` the squared acceleration of the joints
    in centimetres. With ``shared_shape`` all frames have one shape. ``window`` bounds how many frames are fitted at
    once; a window goes on from the one before it.
    """

    smooth: float = Field(5e-3, ge=0)
    acceleration: float = Field(2e-4, ge=0)
    shared_shape: bool = True
    window: int = Field(32, ge=3)


class StageConfig(Config):
    """One run of Adam over some of the parameters.

    ``decay`` is the share of the learning rate left at the end (cosine). ``damping`` shortens steps where the
    objective is flat: see :class:`nbf_fitters.descent.Adam`. ``weights`` overrides the weights
    of terms by name; priors that it does not name are multiplied by ``prior_scale``. ``keypoint_scale`` overrides
    the scale of the keypoint term, whose ``keypoints`` are "all" or shoulders and hips ("torso").
    """

    parameters: tuple[Parameter, ...] = Field(min_length=1)
    steps: int = Field(ge=0)
    learning_rate: float = Field(0.02, gt=0)
    decay: float = Field(1.0, ge=0, le=1)
    damping: float = Field(0.0, ge=0)
    weights: dict[str, float] = {}
    prior_scale: float = Field(1.0, ge=0)
    keypoint_scale: float | None = Field(None, gt=0)
    keypoints: Literal["all", "torso"] = "all"


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

    *Terms.* ``feature_weight`` multiplies the likelihood: what the trained model's measured correspondence quality
    deserves. ``priors`` gives the weight of each prior by name. ``anchor_weight`` pulls towards the start that was
    chosen, ``depth_weight`` towards its depth. ``silhouette_weight`` compares with the observation's silhouette,
    where it has one.

    *Starts.* Of ``starts`` the cheapest goes on: as they are (``starts_by`` "cost"), after the ``start_stage``
    ("short-fit"), or after all stages ("fit"). ``place`` moves each onto the keypoints first.

    *Parameters.* ``parametrisation`` "published" optimises axis-angles and metres as they are; "local" turns the root
    from the left and scales the picture of the body. ``held_joints`` keep the rotation of the start. A start with a
    shape component beyond ``shape_limit`` gets the mean shape.

    *Trust.* People without usable keypoints are fitted by features alone only where trust times ``feature_weight`` is
    at least ``features_alone``: weak features turn a body round. ``min_visible``: such a person of whose body
    clutter explains more than the rest is not fitted either. ``keep_only_better``: a fit that costs more than what
    was given is dropped.

    *Picture.* Kernels are drawn ``inset`` of their standard deviations under the skin, which makes the drawn body as
    large as the one seen.

    ``batch_size`` bounds how many people are fitted at once (up to 70 MB each). ``history_every`` keeps everybody's
    parameters at every so many steps; 0: none.
    """

    likelihood: LikelihoodConfig = LikelihoodConfig()
    feature_weight: float = Field(1.0, ge=0)
    keypoints: KeypointsConfig = KeypointsConfig()
    vertices: VerticesConfig = VerticesConfig()
    silhouette_weight: float = Field(0.0, ge=0)
    anchor_weight: float = Field(1e-2, ge=0)
    depth_weight: float = Field(0.0, ge=0)
    priors: dict[str, float] = {"gaussian-pose": 5e-4, "joint-angle": 1e-3, "shape": 3e-3}
    sequence: SequenceConfig = SequenceConfig()
    starts: tuple[Start, ...] = Field(("estimate", "aligned", "two-sided"), min_length=1)
    starts_by: Literal["cost", "short-fit", "fit"] = "short-fit"
    place: bool = True
    start_stage: StageConfig = Field(default_factory=_start_stage)
    stages: tuple[StageConfig, ...] = Field(default_factory=_stages, min_length=1)
    parametrisation: Literal["local", "published"] = "local"
    held_joints: tuple[str, ...] = ()
    shape_limit: float | None = Field(None, gt=0)
    keep_only_better: bool = True
    features_alone: float = Field(0.5, ge=0)
    min_visible: float = Field(0.1, ge=0, le=1)
    inset: float = Field(INSET, ge=0)
    batch_size: int = Field(16, ge=1)
    history_every: int = Field(0, ge=0)

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


def _camera_stage() -> StageConfig:
    return StageConfig(
        parameters=("orientation", "translation"), steps=40, keypoints="torso", prior_scale=0, weights={"depth": 1e2}
    )


def _annealed() -> tuple[StageConfig, ...]:
    """SMPLify's four runs, by the ratios of its squared weights to those of the last run."""
    free = ("orientation", "translation", "body_pose", "betas")
    weights = zip((404.0, 404.0, 57.4, 4.78), (100.0, 50.0, 10.0, 5.0), strict=True)
    return tuple(
        StageConfig(parameters=free, steps=40, prior_scale=(p / 4.78) ** 2, weights={"shape": s * s / 196})
        for p, s in weights
    )


class SmplifyConfig(StagedConfig):
    """SMPLify (Bogo et al., 2016): keypoints and priors alone, the priors loosened from stage to stage.

    A setting of the staged fitter. Weights are the published ones, squared, over 196, by which its sum of squared
    pixels is larger than our mean: 25 keypoints, and people 2.8 times as large in a crop of 224 pixels as on a map of
    80. The pose's is halved again: ``gaussian-pose`` is a squared distance, the published mixture half of one. The
    first runs bring everybody near the mean pose, so little but place and turn is left of the start. Its stage finds
    the camera by shoulders and hips, from the estimate turned onto the keypoints and from its two-sided twin; each is
    fitted, the cheaper one stays.
    """

    feature_weight: float = Field(0.0, ge=0)
    keypoints: KeypointsConfig = KeypointsConfig(weight=1.0, scale=36.0)
    anchor_weight: float = Field(0.0, ge=0)
    priors: dict[str, float] = {"gaussian-pose": 0.058, "joint-angle": 0.012, "shape": 0.13}
    starts: tuple[Start, ...] = Field(("aligned", "two-sided"), min_length=1)
    start_stage: StageConfig = Field(default_factory=_camera_stage)
    stages: tuple[StageConfig, ...] = Field(default_factory=_annealed, min_length=1)
    starts_by: Literal["cost", "short-fit", "fit"] = "fit"

    @model_validator(mode="before")
    @classmethod
    def _runs(cls, given: Any) -> Any:
        """The runs weigh the shape prior by stage: not where somebody does without it."""
        if isinstance(given, dict) and "stages" not in given and "shape" not in given.get("priors", {"shape": 0.0}):
            return given | {"stages": tuple(stage.model_copy(update={"weights": {}}) for stage in _annealed())}
        return given


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


class VPoserConfig(Config):
    """``path`` names the user's own VPoser v1 weights (``.pt`` or ``.safetensors``), read as tensors alone.

    ``reconstruction`` adds that times the squared angles (rad^2) between the pose and what its code decodes to: poses
    that VPoser does not know cost more.
    """

    path: str
    reconstruction: float = Field(0.0, ge=0)
