"""Scenes for fitters: ideal observations of posed people, a start that is off, and everything that can go wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import roma
import torch
import torch.nn.functional as F
from torch import Tensor

from nbf_core.contracts import BodyModel, FeatureBank, Renderer
from nbf_core.geometry.orientation import kernel_orientation_labels
from nbf_core.types import BodyParams, Camera, FitResult, Kernels, Observation
from nbf_testing.claims import seeded
from nbf_testing.people import PARAMETERS, standing


def observe(body: BodyModel, renderer: Renderer, bank: FeatureBank, truth: BodyParams, camera: Camera) -> Observation:
    """What ideal features and a perfect detector would see of people."""
    output = body(truth, vertices=False)
    points = body.keypoints(output, "openpose-25")
    labels = kernel_orientation_labels(points, body.spec.kernel_limbs, bank.features.shape[1])
    precision = output.kernels.new_full(output.kernels.shape[:2], body.spec.kernel_precision)
    own = bank.features[torch.arange(body.spec.kernels, device=labels.device), labels]
    drawn = renderer.render(Kernels(output.kernels, precision), camera, own)
    background = (1 - drawn.silhouette)[..., None] * bank.clutter()[0]
    features = F.normalize(drawn.attributes + background, dim=-1).permute(0, 3, 1, 2)
    pixels = camera.project(points)
    keypoints = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1)
    return Observation(features=features.detach(), camera=camera, keypoints=keypoints.detach())


def disturb(params: BodyParams, degrees: float, shift: tuple[float, float, float], seed: int = 1) -> BodyParams:
    """All rotations turned by N(0, degrees) about each axis, everybody shifted (m)."""
    draw = seeded(seed)

    def turned(rotation: Tensor) -> Tensor:
        turn = math.radians(degrees) * torch.randn(rotation.shape, generator=draw, dtype=torch.float64)
        return roma.rotvec_composition([rotation, turn.to(rotation)])

    moved = params.transl + params.transl.new_tensor(shift)
    return BodyParams(turned(params.global_orient), turned(params.body_pose), params.betas, moved)


def fit_scene(
    body: BodyModel, renderer: Renderer, bank: FeatureBank, people: int, side: int
) -> tuple[Observation, BodyParams]:
    """People as they are seen, and a start some degrees and centimetres off, on the body's device in its dtype."""
    truth, camera = standing(body.spec, people, (side, side))
    like = body.spec.kernel_rest
    truth, camera = (each.to(dtype=like.dtype).to(like.device) for each in (truth, camera))
    return observe(body, renderer, bank, truth, camera), disturb(truth, 5, (0.12, -0.1, 0.3))


def nan_features(person: int, observation: Observation, start: BodyParams) -> None:
    """The network overflowed."""
    observation.features[person] = math.nan


def nan_keypoints(person: int, observation: Observation, start: BodyParams) -> None:
    """Some keypoints are no numbers."""
    observation.keypoints[person, ::2, 0] = math.nan


def no_keypoint(person: int, observation: Observation, start: BodyParams) -> None:
    """The detector saw nothing."""
    observation.keypoints[person, :, 2] = 0


def far_keypoints(person: int, observation: Observation, start: BodyParams) -> None:
    """The detector is far off."""
    observation.keypoints[person, :, :2] = 1e9


def no_features(person: int, observation: Observation, start: BodyParams) -> None:
    """An image without any feature."""
    observation.features[person] = 0


def nan_start(person: int, observation: Observation, start: BodyParams) -> None:
    """The start is no number."""
    start.body_pose[person] = math.nan


def endless_start(person: int, observation: Observation, start: BodyParams) -> None:
    """The start is nowhere."""
    start.transl[person] = math.inf


def behind(person: int, observation: Observation, start: BodyParams) -> None:
    """The start is behind the camera."""
    start.transl[person] = -3


def far_away(person: int, observation: Observation, start: BodyParams) -> None:
    """The start is too far to be seen."""
    start.transl[person] = 1e6


def giant(person: int, observation: Observation, start: BodyParams) -> None:
    """The start has the shape of nobody."""
    start.betas[person] = 1e3


def many_turns(person: int, observation: Observation, start: BodyParams) -> None:
    """The start is turned round and round."""
    start.body_pose[person] = 1e4


def flat_camera(person: int, observation: Observation, start: BodyParams) -> None:
    """A focal length of almost nothing."""
    observation.camera.focal[person] = 1e-9


Mishap = Callable[[int, Observation, BodyParams], None]
UNUSABLE: tuple[Mishap, ...] = (nan_start, endless_start)
"""With these nobody can be fitted, whatever the fitter looks at."""

MISHAPS: tuple[Mishap, ...] = (
    nan_features, nan_keypoints, no_keypoint, far_keypoints, no_features, behind, far_away, giant, many_turns,
    flat_camera, *UNUSABLE,
)  # fmt: skip


def spoiled(observation: Observation, start: BodyParams) -> tuple[Observation, BodyParams]:
    """Copies in which each mishap has met one person; the first and the last are as they should be."""
    observation = replace(observation.clone(), camera=observation.camera.clone())
    start = start.clone()
    for person, mishap in enumerate(MISHAPS, 1):
        mishap(person, observation, start)
    return observation, start


def everything_finite(result: FitResult) -> None:
    """Assert that no number of a result is NaN or infinite."""
    for params in (result.params, result.start, *result.history.values()):
        for name in PARAMETERS:
            assert torch.isfinite(getattr(params, name)).all(), name
    maps = {name: getattr(result, name) for name in ("object_score", "clutter_score", "confidence")}
    maps |= {"loss": result.loss, "start_loss": result.start_loss, "silhouette": result.silhouette, **result.trace}
    for name, value in maps.items():
        assert value is None or torch.isfinite(value).all(), name
