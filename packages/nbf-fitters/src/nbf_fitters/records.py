"""Making the records that go into a fit and come out of it: clean, complete, person by person."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from nbf_core.errors import ShapeError
from nbf_core.types import BodyParams, Camera, FitResult, Observation
from nbf_fitters.terms import clean_keypoints

Trace = list[dict[str, Tensor]]


def prepared(observation: Observation, start: BodyParams) -> tuple[Observation, BodyParams]:
    """One dtype and batch size for all, keypoints without NaN. Raises ShapeError where sizes do not fit."""
    features, camera = observation.features, observation.camera
    if features.ndim != 4:
        raise ShapeError(f"features: expected shape [b, c, h, w], got {tuple(features.shape)}")
    people = len(features)
    if tuple(camera.size) != tuple(features.shape[-2:]):
        raise ShapeError(f"camera size {camera.size} is not that of the features {tuple(features.shape[-2:])}")
    if start.transl.shape != (people, 3):
        raise ShapeError(f"start transl: expected shape ({people}, 3), got {tuple(start.transl.shape)}")
    camera = Camera(
        focal=camera.focal.to(features).expand(people, 2),
        center=camera.center.to(features).expand(people, 2),
        size=camera.size,
    )
    keypoints = observation.keypoints
    if keypoints is not None:
        keypoints = clean_keypoints(keypoints.to(features))
    observation = replace(observation, features=features, camera=camera, keypoints=keypoints)
    return observation.detach(), start.to(features.device, features.dtype).detach()


def unfitted(observation: Observation, start: BodyParams) -> FitResult:
    """Everybody as they came, with zeros for what is not a number."""
    people, _, height, width = observation.features.shape
    clean = start.map(lambda tensor: torch.nan_to_num(tensor, posinf=0.0, neginf=0.0))
    zero = start.transl.new_zeros(people)
    flag = torch.zeros(people, dtype=torch.bool, device=zero.device)
    return FitResult(
        params=clean,
        start=clean,
        loss=zero,
        start_loss=zero,
        kept=flag,
        silhouette=zero.new_zeros(people, height, width),
        occlusion=flag.new_zeros(people, height, width),
        trace={},
    )


def scatter(result: FitResult, part: FitResult, people: Tensor) -> FitResult:
    """``result`` with ``part`` in the rows ``people``."""

    def put(whole: Tensor, rows: Tensor) -> Tensor:
        return whole.index_copy(0, people, rows.to(whole.dtype))

    changes = {}
    for name in ("loss", "start_loss", "kept", "silhouette", "occlusion"):
        changes[name] = put(getattr(result, name), getattr(part, name))
    for name in ("params", "start"):
        whole, rows = getattr(result, name), getattr(part, name)
        fields = ("global_orient", "body_pose", "betas", "transl")
        changes[name] = BodyParams(**{f: put(getattr(whole, f), getattr(rows, f)) for f in fields})
    trace = dict(result.trace)
    for name, values in part.trace.items():
        whole = trace.get(name, values.new_zeros(len(values), len(result.loss)))
        trace[name] = whole.index_copy(1, people, values)
    return replace(result, trace=trace, **changes)


def joined(trace: Trace) -> dict[str, Tensor]:
    """Terms over all steps, [steps, b]; a term without weight in some stage is zero there."""
    names = dict.fromkeys(name for step in trace for name in step)
    zero = torch.zeros_like(trace[0]["total"])
    return {name: torch.stack([torch.nan_to_num(step.get(name, zero)) for step in trace]) for name in names}
