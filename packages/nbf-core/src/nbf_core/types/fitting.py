"""What a fitter sees and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.types.body import BodyParams
from nbf_core.types.camera import Camera
from nbf_core.types.tree import TensorRecord


@dataclass(frozen=True)
class Observation(TensorRecord):
    """What the image says about ``b`` people, all in pixels of the feature map.

    ``features`` are unit vectors per pixel. ``keypoints`` hold x, y, confidence, in the order of
    ``keypoint_set``; None where no detector ran. ``camera`` has the size of the feature map. ``silhouette``, where
    something segmented the image, is the probability that a pixel shows the body.
    """

    features: Float[Tensor, "b c h w"]
    camera: Camera
    keypoints: Float[Tensor, "b n 3"] | None = None
    keypoint_set: str = "openpose-25"
    silhouette: Float[Tensor, "b h w"] | None = None


@dataclass(frozen=True)
class FitResult(TensorRecord):
    """Fitted people.

    ``loss`` is the objective at ``params``; ``start_loss`` at the start given. ``kept`` tells for whom the
    fit replaced the start. ``occlusion`` is true where clutter explains a body pixel better than the body.
    ``silhouette`` is the fitted body's. ``trace`` holds each loss term at each step, [steps, b].
    ``confidence`` in [0, 1] tells how far the picture, rather than the start and the priors, fixes each joint of
    the body at ``params``; zero where the start was returned, None from fitters that do not know.
    ``object_score`` and ``clutter_score`` tell how well body and clutter explain each pixel, as cosines (an object
    score is 0 where no body is). ``stages`` are the steps of the trace at which stages begin, ``history`` holds the
    parameters of everybody at some of those steps. ``kept_joints``, from fitters behind a gate, tells which rotations
    at ``params`` are the fit's: a joint may keep the start's though the person is ``kept``.
    """

    params: BodyParams
    start: BodyParams
    loss: Float[Tensor, "b"]
    start_loss: Float[Tensor, "b"]
    kept: Bool[Tensor, "b"]
    silhouette: Float[Tensor, "b h w"]
    occlusion: Bool[Tensor, "b h w"]
    trace: Mapping[str, Float[Tensor, "steps b"]] = field(default_factory=dict)
    confidence: Float[Tensor, "b J"] | None = None
    object_score: Float[Tensor, "b h w"] | None = None
    clutter_score: Float[Tensor, "b h w"] | None = None
    stages: tuple[int, ...] = ()
    history: Mapping[int, BodyParams] = field(default_factory=dict)
    kept_joints: Bool[Tensor, "b J"] | None = None
