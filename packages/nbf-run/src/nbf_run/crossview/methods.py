"""What each method makes of each picture alone: bodies before their cameras."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbf_core.config import Pipeline
from nbf_core.errors import InputError
from nbf_core.geometry.camera import central_ray_rotation
from nbf_core.types import BodyParams, Person, Sample
from nbf_core.types.tree import stack
from nbf_run.crop import crop_boxes
from nbf_run.crossview.config import MethodOptions
from nbf_run.crossview.scene import Scene
from nbf_run.estimate import Crops, look, observe, start_params
from nbf_run.fitting import LoadedPipeline
from nbf_run.options import FIT_NEEDS, read_pipeline

Overrides = Sequence[tuple[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """One method's bodies: OpenPose-25 ``points`` [n 25 3] in the coordinates of each picture's camera, in metres.

    ``vertices`` of one picture's body on demand (None where there is no surface). ``kept`` is the share of fits that
    replaced their start, ``seconds`` the time for one picture.
    """

    points: Float[Tensor, "n 25 3"]
    seconds: float | None = None
    kept: float | None = None
    vertices: Callable[[int], Float[np.ndarray, "V 3"]] | None = None
    faces: Int[np.ndarray, "F 3"] | None = None


def run_method(
    scene: Scene, loaded: LoadedPipeline | None, method: MethodOptions, step: Callable[[int, int], None]
) -> Outcome:
    """Run a method over every picture alone. Raises InputError where the data lacks what it needs."""
    if method.kind == "detector":
        return Outcome(detector_points(scene.samples))
    batch, count = loaded.options.batch, len(scene.names)
    samples: Sample = scene.samples.to(dtype=torch.float32)
    params, kept, began = [], 0, time.perf_counter()
    for first in range(0, count, batch):
        part = samples[first : min(first + batch, count)]
        crops = _crops(part, loaded.regressor.image_size).to(loaded.device)
        output = look(loaded.regressor, crops)
        start = start_params(output, crops.camera)
        if method.kind == "fit":
            seen = crops if method.keypoints else Crops(crops.images, crops.camera)
            result = loaded.fitter.fit(observe(output, seen), start)
            start, kept = result.params, kept + int(result.kept.sum())
        params.append(start.detach().to("cpu"))
        step(first + len(part.index), count)
    seconds = (time.perf_counter() - began) / count
    everybody = stack(params, torch.cat)
    return Outcome(
        points=_keypoints(loaded, everybody),
        seconds=seconds,
        kept=kept / count if method.kind == "fit" else None,
        vertices=lambda row: _vertices(loaded, everybody[row : row + 1]),
        faces=loaded.faces,
    )


def load_method(
    source: str, pipeline: Pipeline, method: MethodOptions, overrides: Overrides
) -> tuple[LoadedPipeline | None, Pipeline]:
    """The components a method needs (None for none), and the pipeline they come from.

    Overrides of the command reach another pipeline's networks too, but not its fitter, which is its own.
    """
    if method.kind in ("detector", "others"):
        return None, pipeline
    own = method.pipeline is None
    passed = [
        (key, value)
        for key, value in overrides
        if key.partition(".")[0] not in (() if own else ("fitter", "priors", "data", "crossview"))
    ]
    extra = [*method.set.items(), *([] if method.trust is None else [("fit.trust", method.trust)])]
    read = read_pipeline(source if own else method.pipeline, [*passed, *extra], needs=FIT_NEEDS)
    return LoadedPipeline(read), read


def detector_points(samples: Sample) -> Float[Tensor, "n 25 3"]:
    """The detector's own 3D points, placed before the camera where their projection meets its own keypoints best.

    They come as of a camera that looks straight at the person, so they are turned to the ray through the crop's
    middle. Their place is the weighted linear least squares solution, their size stays. Raises InputError where the
    data set has none.
    """
    if samples.detected_3d is None:
        raise InputError("the data set has no 3D points of a detector (detected_3d)")
    points, sure = samples.detected_3d[..., :3], samples.detected_3d[..., 3] * samples.detected[..., 2]
    points = points @ central_ray_rotation(samples.camera).mT
    camera = samples.camera
    x, y = ((samples.detected[..., :2] - camera.center[:, None]) / camera.focal[:, None]).unbind(-1)
    one, none = torch.ones_like(x), torch.zeros_like(x)
    # (X + t_x) / (Z + t_z) = x: a row of unknowns, and what is known, for x and y.
    rows = torch.cat([torch.stack([one, none, -x], -1), torch.stack([none, one, -y], -1)], 1)
    known = torch.cat([x * points[..., 2] - points[..., 0], y * points[..., 2] - points[..., 1]], 1)
    weights = torch.cat([sure, sure], 1)[..., None]
    square = (rows * weights).mT @ rows
    shift = torch.linalg.solve(square, ((rows * weights).mT @ known[..., None])[..., 0])
    return points + shift[:, None]


def _crops(samples: Sample, side: int) -> Crops:
    """The pictures at the regressor's size, with the keypoints detected in them."""
    parts = []
    for row in range(len(samples.index)):
        image = samples.image[row].permute(1, 2, 0).contiguous().numpy()
        whole = np.array([0.0, 0.0, image.shape[1], image.shape[0]])
        person = Person(whole, samples.detected[row].numpy(), 1.0)
        parts.append(crop_boxes(image, samples.camera[row], [person], whole[None], side))
    return stack(parts, torch.cat)


def _keypoints(loaded: LoadedPipeline, params: BodyParams) -> Float[Tensor, "n 25 3"]:
    with torch.inference_mode():
        body = loaded.body(params.to(loaded.device), vertices=False)
        return loaded.body.keypoints(body, "openpose-25").cpu().double().clone()


def _vertices(loaded: LoadedPipeline, params: BodyParams) -> Float[np.ndarray, "V 3"]:
    with torch.inference_mode():
        return loaded.body(params.to(loaded.device)).vertices[0].cpu().double().numpy()
