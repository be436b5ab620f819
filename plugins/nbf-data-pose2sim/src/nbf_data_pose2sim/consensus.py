"""What several calibrated views of one moment agree on: swapped sides set right, outliers found.

A detector errs in each view in its own way: it takes left for right, or puts a hidden hand where it expects one.
Rays of the same joint from four cameras meet only where the views agree.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.conventions import OPENPOSE_25, mirror_permutation
from nbf_core.geometry.triangulation import triangulate
from nbf_core.types import Camera, View

TOLERANCE = 0.10
"""Views agree on a joint where their pixels lie within so many metres of it (at its distance from the camera)."""

SURE = 0.3
"""Keypoints of less confidence do not take part."""

FLIP_COST = 0.5
"""What taking sides for swapped costs, in keypoints that disagree: a swap must explain more than noise."""

_SIDED = {
    "face": ("eye", "ear"),
    "arms": ("shoulder", "elbow", "wrist"),
    "legs": ("hip", "knee", "ankle", "big_toe", "heel"),
}
GROUPS = tuple(_SIDED)
"""Joints whose sides are swapped together."""


@dataclass(frozen=True)
class Consensus:
    """``n`` keypoints of one moment in ``v`` views.

    ``world`` (metres, confidence): 0 where fewer than three views agree. ``keypoints`` are the views' own, sides set
    right, with confidence 0 where they disagree with the others. ``swapped`` tells whose sides were exchanged.
    """

    world: Float[Tensor, "n 4"]
    keypoints: Float[Tensor, "v n 3"]
    swapped: Bool[Tensor, "v groups"]


def agree(detected: Float[Tensor, "v 25 3"], camera: Camera, view: View) -> Consensus:
    """The consensus of ``v`` views on OpenPose-25 keypoints; all of float64, three views or more."""
    views = len(detected)
    swapped = torch.zeros(views, len(GROUPS), dtype=torch.bool)
    keypoints = detected.clone()
    for number, group in enumerate(GROUPS):
        members = group_members(group)
        swapped[:, number] = _best_flips(detected, members, camera, view)
        keypoints[:, members] = _flipped(detected, swapped[:, number])[:, members]
    # Neck and middle of the hips are means of both sides: they stay.
    points, agreeing, _ = robust(keypoints, camera, view)
    known = agreeing.sum(0) >= 3
    confidence = (keypoints[..., 2] * agreeing).sum(0) / agreeing.sum(0).clamp_min(1) * known
    world = torch.cat([points.nan_to_num(0.0) * known[:, None], confidence[:, None]], dim=-1)
    truth = keypoints.clone()
    truth[..., 2] *= agreeing & known
    return Consensus(world, truth, swapped)


def group_members(group: str) -> list[int]:
    """The indices of the keypoints of a group, left and right."""
    names = [f"{side}_{name}" for side in ("left", "right") for name in _SIDED[group]]
    return [OPENPOSE_25.index(name) for name in names]


def robust(
    keypoints: Float[Tensor, "v n 3"], camera: Camera, view: View
) -> tuple[Float[Tensor, "n 3"], Bool[Tensor, "v n"], Float[Tensor, "n"]]:
    """World points, which views agree with them, and how much disagreement is left (in disagreeing keypoints).

    Every choice of two or more views is tried; the point that most confidence agrees with wins.
    """
    views = len(keypoints)
    weights = torch.where(keypoints[..., 2] >= SURE, keypoints[..., 2], 0.0)
    choices = torch.tensor([c for c in itertools.product((0.0, 1.0), repeat=views) if sum(c) >= 2]).to(weights)
    pixels = keypoints[:, None, :, :2].expand(-1, len(choices), -1, -1)
    points = triangulate(pixels, weights[:, None] * choices.T[..., None], camera, view)  # [choices n 3]
    cost = _cost(_misses(points, pixels, camera, view), weights[:, None].expand(-1, len(choices), -1))
    best = torch.where(cost.isfinite(), cost, torch.inf).argmin(0)
    chosen = points.gather(0, best[None, :, None].expand(-1, -1, 3))[0]
    agreeing = _misses(chosen, keypoints[..., :2], camera, view) < TOLERANCE
    agreeing &= weights > 0
    final = triangulate(keypoints[..., :2], weights * agreeing, camera, view)
    misses = _misses(final, keypoints[..., :2], camera, view)
    return final, agreeing & (misses < 1.5 * TOLERANCE), _cost(misses, weights)


def _best_flips(detected: Tensor, members: list[int], camera: Camera, view: View) -> Bool[Tensor, "v"]:
    """Whose sides to exchange so that the views agree best; one that has all exchanged is never needed."""
    views, best = len(detected), None
    for flips in itertools.product((False, True), repeat=views):
        # Exchanged everywhere is the same geometry under other names: the majority names it.
        if sum(flips) > views / 2:
            continue
        flip = torch.tensor(flips)
        _, _, cost = robust(_flipped(detected, flip)[:, members], camera, view)
        # Of two halves that contradict each other the more certain one is believed.
        doubt = (detected[:, members, 2].mean(1) * flip).sum()
        total = cost.sum() + FLIP_COST * doubt
        if best is None or total < best[0]:
            best = (total, flip)
    return best[1]


def _flipped(keypoints: Float[Tensor, "v 25 3"], flip: Bool[Tensor, "v"]) -> Float[Tensor, "v 25 3"]:
    mirrored = keypoints[:, list(mirror_permutation(OPENPOSE_25))]
    return torch.where(flip[:, None, None], mirrored, keypoints)


def _misses(points: Float[Tensor, "*b 3"], pixels: Float[Tensor, "v *b 2"], camera: Camera, view: View) -> Tensor:
    """How far each pixel is from each point, in metres at the point's distance [v *b]; inf behind the camera."""
    views = len(pixels)
    local = view.to_camera(points.reshape(1, -1, 3).expand(views, -1, -1))
    miss = (camera.project(local) - pixels.reshape(views, -1, 2)).norm(dim=-1)
    metres = miss * local[..., 2] / camera.focal[:, :1]
    return torch.where(local[..., 2] > 0.05, metres, torch.inf).nan_to_num(torch.inf).reshape(pixels.shape[:-1])


def _cost(misses: Float[Tensor, "v *b"], weights: Float[Tensor, "v *b"]) -> Float[Tensor, "*b"]:
    """Truncated squares: a keypoint that disagrees counts one, whatever its distance."""
    return (weights * (misses / TOLERANCE).square().clamp_max(1.0)).sum(0)
