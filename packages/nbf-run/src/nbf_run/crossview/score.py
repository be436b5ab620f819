"""How far bodies of one view lie from the keypoints seen in the others, and from one another."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.geometry.alignment import similarity_align
from nbf_core.geometry.triangulation import triangulate
from nbf_core.types import Camera, View
from nbf_run.crossview.placing import ALIGNMENTS, place
from nbf_run.crossview.scene import SCORED_INDEX, Scene, trunk_length

MILLIMETRES = 1000.0


@dataclass(frozen=True)
class Scores:
    """One method's numbers: ``m`` moments, ``v`` views, 13 keypoints; NaN where there is nothing to score.

    ``misses[alignment]`` [m source target 13]: distance of a body's keypoint, seen by the target camera, from the one
    detected there, in metres at the person's distance. ``mpjpe``, ``pa_mpjpe``: mean distance (mm) of its keypoints
    from the triangulated ones, moved and after the best similarity. ``between`` [m v v]: mean distance (mm) of the
    bodies of two views after the best similarity, NaN on the diagonal. ``size``: trunk length over the true one.
    """

    misses: dict[str, Float[Tensor, "m v v 13"]]
    mpjpe: Float[Tensor, "m v"]
    pa_mpjpe: Float[Tensor, "m v"]
    between: Float[Tensor, "m v v"]
    size: Float[Tensor, "m v"]


def score(scene: Scene, points: Float[Tensor, "n 25 3"]) -> Scores:
    """The numbers of bodies, one a picture, given by their keypoints in their cameras' coordinates."""
    moments, views = scene.shape
    placed = {name: place(scene, points, name)(points) for name in ALIGNMENTS}
    bodies = placed["as-is"].reshape(moments, views, 25, 3)[:, :, list(SCORED_INDEX)]
    moved = placed["moved"].reshape(moments, views, 25, 3)[:, :, list(SCORED_INDEX)]
    truth = scene.world[:, None, list(SCORED_INDEX)].expand(-1, views, -1, -1)
    known = truth[..., 3] > 0
    return Scores(
        misses={
            name: misses(scene, world.reshape(moments, views, 25, 3)[:, :, None].expand(-1, -1, views, -1, -1))
            for name, world in placed.items()
        },
        mpjpe=MILLIMETRES * _mean((moved - truth[..., :3]).norm(dim=-1), known),
        pa_mpjpe=_aligned(bodies, truth[..., :3], known),
        between=_between(bodies),
        size=trunk_length(points).reshape(moments, views) / scene.trunk,
    )


def misses(scene: Scene, world: Float[Tensor, "m s v 25 3"]) -> Float[Tensor, "m s v 13"]:
    """Distances in the pictures of the ``v`` cameras, in metres at the person's distance; inf behind a camera."""
    moments, views = scene.shape
    sources = world.shape[1]
    rows = world.transpose(1, 2).reshape(moments * views, sources * 25, 3)
    local = scene.view.to_camera(rows)
    pixels = scene.samples.camera.project(local).reshape(moments, views, sources, 25, 2)
    truth = scene.samples.keypoints[..., :2].reshape(moments, views, 1, 25, 2)
    middle = scene.middle().repeat_interleave(views, 0)[:, None]
    metres_per_pixel = scene.view.to_camera(middle)[:, 0, 2] / scene.samples.camera.focal.mean(1)
    miss = (pixels - truth).norm(dim=-1) * metres_per_pixel.reshape(moments, views, 1, 1)
    ahead = local[..., 2].reshape(moments, views, sources, 25) > 0.05
    # A body that is not placed at all stays NaN, one behind the camera is infinitely wrong.
    miss = torch.where(ahead | miss.isnan(), miss, torch.inf)[..., list(SCORED_INDEX)]
    return torch.where(scene.known[:, :, None], miss, torch.nan).transpose(1, 2)


def others(scene: Scene) -> Float[Tensor, "m v 13"]:
    """Distances of each view's keypoints from where the *other* views' keypoints, triangulated, say they are.

    What no method can be expected to beat: the truth's own noise. NaN where fewer than two others know.
    """
    moments, views = scene.shape
    keypoints = scene.samples.keypoints.reshape(moments, views, 25, 3).transpose(0, 1)  # [v m 25 3]
    camera: Camera = scene.samples.camera.map(lambda value: value.reshape(moments, views, *value.shape[1:]))
    extrinsics: View = scene.view.map(lambda value: value.reshape(moments, views, *value.shape[1:]))
    known = torch.zeros(views, moments, 25, dtype=torch.float64)
    known[:, :, list(SCORED_INDEX)] = scene.known.transpose(0, 1).double()
    found = torch.full((moments, views, 25, 3), torch.nan, dtype=torch.float64)
    for moment in range(moments):
        for target in range(views):
            weights = keypoints[:, moment, :, 2] * known[:, moment]
            weights[target] = 0
            rig = camera[moment], extrinsics[moment]
            found[moment, target] = triangulate(keypoints[:, moment, :, :2], weights, *rig)
    return misses(scene, found[:, None])[:, 0]


def hits(miss: Float[Tensor, "*b n"], limit: float) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    """How many keypoints lie within ``limit`` metres, and how many there are to find."""
    counts = ~miss.isnan()
    return ((miss <= limit) & counts).sum(-1).double(), counts.sum(-1).double()


def pair_mask(wrong: Bool[Tensor, "m v"]) -> Bool[Tensor, "m v v"]:
    """True for pairs of which one is wrong."""
    return wrong[:, :, None] | wrong[:, None]


def _mean(values: Float[Tensor, "*b n"], known: Bool[Tensor, "*b n"]) -> Float[Tensor, "*b"]:
    counts = known.sum(-1)
    return torch.where(counts > 0, torch.where(known, values, 0).sum(-1) / counts.clamp_min(1), torch.nan)


def _aligned(source: Tensor, target: Tensor, known: Bool[Tensor, "*b n"]) -> Float[Tensor, "*b"]:
    """Mean distance in mm after the best similarity; NaN with fewer than four points, or where none is finite."""
    flat = [value.reshape(-1, *source.shape[-2:]) for value in (source, target)]
    weights = known.reshape(-1, known.shape[-1]).double()
    good = (weights.sum(-1) >= 4) & flat[0].isfinite().all(-1).all(-1)
    result = source.new_full((len(weights),), torch.nan)
    if good.any():
        moved = similarity_align(flat[0][good], flat[1][good], weights[good])
        result[good] = _mean((moved - flat[1][good]).norm(dim=-1), weights[good] > 0)
    return MILLIMETRES * result.reshape(known.shape[:-1])


def _between(bodies: Float[Tensor, "m v n 3"]) -> Float[Tensor, "m v v"]:
    moments, views = bodies.shape[:2]
    first = bodies[:, :, None].expand(-1, -1, views, -1, -1)
    second = bodies[:, None].expand(-1, views, -1, -1, -1)
    everything = torch.ones(first.shape[:-1], dtype=torch.bool)
    one_way = _aligned(first, second, everything)
    # Both have sizes of their own: the mean of both directions is measured in neither's.
    both = (one_way + one_way.transpose(1, 2)) / 2
    return both.masked_fill(torch.eye(views, dtype=torch.bool), torch.nan)
