"""How far two fits, and two drawings of one body, agree."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from nbf_core.contracts import BodyModel, Renderer
from nbf_core.conventions import SMPL_24
from nbf_core.types import BodyParams, Kernels
from nbf_run import build
from nbf_run.fitting import LoadedPipeline
from nbf_run.report.drawing import shade_body
from nbf_run.results import FittedImage
from nbf_run.swap.variants import Tried

_REPEATS = 3

_GRID = 96
"""Pixels of the side of the picture that renderers draw."""


def apart(first: Float[np.ndarray, "... j 3"], second: Float[np.ndarray, "... j 3"]) -> float:
    """The mean distance of the 24 joints after moving the pelvis of one onto the other's, in millimetres."""
    ours, theirs = (joints[..., : len(SMPL_24), :] for joints in (first, second))
    gap = (ours - ours[..., :1, :]) - (theirs - theirs[..., :1, :])
    return float(1000 * np.linalg.norm(gap, axis=-1).mean())


def overlap(first: FittedImage, second: FittedImage) -> float:
    """The overlap of two bodies in the picture by their union, in percent."""
    masks = [_mask(image) for image in (first, second)]
    return float(100 * (masks[0] & masks[1]).sum() / max(int((masks[0] | masks[1]).sum()), 1))


def _mask(image: FittedImage) -> np.ndarray:
    whole = np.zeros(image.camera.size, bool)
    shaded = shade_body(image.people[0].fitted.vertices, image.faces, image.camera, (255, 255, 255))
    cover = shaded.cover[..., 0] > 0.5
    row, column = shaded.corner
    whole[row : row + cover.shape[0], column : column + cover.shape[1]] = cover
    return whole


def drawings(own: Tried, tried: list[Tried]) -> None:
    """Have every renderer draw the pipeline's fitted body, into ``drawn``: agreement of the silhouettes and time.

    ``overlap``: percent of the union, at half; ``apart``: the mean difference on it, percent; ``ms``: a picture and
    its gradient.
    """
    reference = None
    for one in tried:
        silhouette, seconds = _draw(build.build_renderer(one.loaded.pipeline), own.loaded, own)
        reference = silhouette if reference is None else reference
        ours, theirs = silhouette > 0.5, reference > 0.5
        either = ours | theirs
        one.drawn = {
            "overlap": float(100 * (ours & theirs).sum() / max(int(either.sum()), 1)),
            "apart": float(100 * np.abs(silhouette - reference)[either].mean()) if either.any() else 0.0,
            "ms": 1000 * seconds,
        }


def _draw(renderer: Renderer, loaded: LoadedPipeline, own: Tried) -> tuple[np.ndarray, float]:
    body, device = loaded.body, loaded.device
    person = own.person
    with torch.no_grad():
        means = body(own.person.fitted.params[None].to(device)).kernels
    box = torch.as_tensor(person.square, dtype=own.image.camera.focal.dtype)
    camera = own.image.camera.cropped(box, (_GRID, _GRID))[None].to(device)
    spec, best = body.spec, np.inf
    for _ in range(_REPEATS):
        points = means.clone().requires_grad_()
        precision = points.new_full(points.shape[:2], spec.kernel_precision)
        faces = spec.kernel_faces.to(device).expand(len(points), -1, -1)
        began = time.perf_counter()
        output = renderer.render(Kernels(points, precision, faces), camera, torch.ones_like(points[..., :1]))
        output.silhouette.square().sum().backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - began)
    return output.silhouette[0].detach().cpu().numpy(), best


def joints_of(body: BodyModel, people: Mapping[int, BodyParams]) -> dict[int, Any]:
    """The joints of people by their numbers."""
    if not people:
        return {}
    device = next((tensor.device for tensor in body.buffers()), torch.device("cpu")) if _is_module(body) else None
    names = ("global_orient", "body_pose", "betas", "transl")
    whole = BodyParams(**{name: torch.stack([getattr(one, name) for one in people.values()]) for name in names})
    with torch.no_grad():
        joints = body(whole if device is None else whole.to(device), vertices=False).joints
    return dict(zip(people, joints.cpu().numpy(), strict=True))


def _is_module(body: Any) -> bool:
    return isinstance(body, torch.nn.Module)
