"""Making the records that go into a fit and come out of it: clean, complete, person by person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from nbf_core.errors import ShapeError
from nbf_core.types import BodyParams, Camera, FitResult, Observation
from nbf_fitters.terms import clean_keypoints

_PARAMETERS = ("global_orient", "body_pose", "betas", "transl")
_ROWS = ("loss", "start_loss", "kept", "silhouette", "occlusion", "object_score", "clutter_score")


def prepared(observation: Observation, start: BodyParams) -> tuple[Observation, BodyParams]:
    """One dtype and batch size for all, keypoints without NaN. Raises ShapeError where sizes do not fit."""
    features, camera = observation.features, observation.camera
    if features.ndim != 4:
        raise ShapeError(f"features: expected shape [b, c, h, w], got {tuple(features.shape)}")
    people, size = len(features), tuple(features.shape[-2:])
    if tuple(camera.size) != size:
        raise ShapeError(f"camera size {camera.size} is not that of the features {size}")
    if start.transl.shape != (people, 3):
        raise ShapeError(f"start transl: expected shape ({people}, 3), got {tuple(start.transl.shape)}")
    camera = Camera(
        focal=camera.focal.to(features).expand(people, 2),
        center=camera.center.to(features).expand(people, 2),
        size=camera.size,
    )
    keypoints, silhouette = observation.keypoints, observation.silhouette
    if keypoints is not None:
        keypoints = clean_keypoints(keypoints.to(features))
    if silhouette is not None:
        if silhouette.shape != (people, *size):
            raise ShapeError(f"silhouette: expected shape {(people, *size)}, got {tuple(silhouette.shape)}")
        silhouette = torch.nan_to_num(silhouette.to(features)).clamp(0, 1)
    changed = {"camera": camera, "keypoints": keypoints, "silhouette": silhouette}
    return replace(observation, **changed).detach(), start.to(features.device, features.dtype).detach()


def finite_people(observation: Observation, start: BodyParams) -> Bool[Tensor, "b"]:
    """Whose features, camera and start are numbers throughout; keypoints need not be."""
    tensors = (observation.features, observation.camera.focal, observation.camera.center)
    tensors += tuple(getattr(start, name) for name in _PARAMETERS)
    return torch.stack([tensor.flatten(1).isfinite().all(-1) for tensor in tensors]).all(0)


def unfitted(observation: Observation, start: BodyParams) -> FitResult:
    """Everybody as they came, with zeros for what is not a number."""
    people, _, height, width = observation.features.shape
    clean = start.map(lambda tensor: torch.nan_to_num(tensor, posinf=0.0, neginf=0.0))
    zero = start.transl.new_zeros(people)
    flag = torch.zeros(people, dtype=torch.bool, device=zero.device)
    blank = zero.new_zeros(people, height, width)
    return FitResult(
        params=clean,
        start=clean,
        loss=zero,
        start_loss=zero,
        kept=flag,
        silhouette=blank,
        occlusion=flag.new_zeros(people, height, width),
        object_score=blank,
        clutter_score=blank,
    )


def scatter(result: FitResult, part: FitResult, people: Tensor) -> FitResult:
    """``result`` with ``part`` in the rows ``people``."""

    def put(whole: Tensor, rows: Tensor, dim: int = 0) -> Tensor:
        return whole.index_copy(dim, people, rows.to(whole.dtype))

    def body(whole: BodyParams, rows: BodyParams) -> BodyParams:
        return BodyParams(**{name: put(getattr(whole, name), getattr(rows, name)) for name in _PARAMETERS})

    changes = {name: put(getattr(result, name), getattr(part, name)) for name in _ROWS}
    trace, history = dict(result.trace), dict(result.history)
    for name, values in part.trace.items():
        trace[name] = put(trace.get(name, values.new_zeros(len(values), len(result.loss))), values, 1)
    for step, params in part.history.items():
        history[step] = body(history.get(step, result.params), params)
    return replace(
        result,
        params=body(result.params, part.params),
        start=body(result.start, part.start),
        trace=trace,
        stages=part.stages,
        history=history,
        **changes,
    )


def pick(where: Bool[Tensor, "b"], first: BodyParams, second: BodyParams) -> BodyParams:
    """For each person the first of two where ``where`` is true."""

    def one(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(where.view(-1, *[1] * (a.ndim - 1)), a, b)

    return BodyParams(**{name: one(getattr(first, name), getattr(second, name)) for name in _PARAMETERS})


def select(candidates: Sequence[BodyParams], index: Int[Tensor, "b"]) -> BodyParams:
    """For each person one of several bodies."""
    person = torch.arange(len(index), device=index.device)
    return BodyParams(
        **{name: torch.stack([getattr(one, name) for one in candidates])[index, person] for name in _PARAMETERS}
    )
