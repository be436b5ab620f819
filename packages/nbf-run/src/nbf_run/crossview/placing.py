"""From a body before its own camera to the world: as it is, or with what one picture cannot tell taken away."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nbf_run.crossview.scene import TRUNK_INDEX, Scene

ALIGNMENTS = {
    "as-is": "where the method put it, the camera's focal length being known",
    "moved": "moved in the world, so that the middle of its trunk is the triangulated one",
    "scaled": "scaled about its own camera, so that its trunk is as far away as the triangulated one: its own picture "
    "stays what it was, only the size that one picture cannot tell is taken away",
}


@dataclass(frozen=True)
class Placement:
    """``x_world = view.to_world(scale x_camera) + shift`` for each of ``n`` pictures' bodies."""

    scene: Scene
    scale: Float[Tensor, "n"]
    shift: Float[Tensor, "n 3"]

    def __call__(self, points: Float[Tensor, "n p 3"]) -> Float[Tensor, "n p 3"]:
        """Points in the cameras' coordinates in the world."""
        return self.scene.view.to_world(points * self.scale[:, None, None]) + self.shift[:, None]


def place(scene: Scene, points: Float[Tensor, "n 25 3"], alignment: str) -> Placement:
    """How bodies, given by their keypoints in their cameras' coordinates, come into the world.

    NaN where the alignment needs a trunk that is not known.
    """
    moments, views = scene.shape
    target = scene.middle().repeat_interleave(views, 0)
    trunk = points[:, list(TRUNK_INDEX)].mean(1, keepdim=True)
    scale, shift = points.new_ones(len(points)), points.new_zeros(len(points), 3)
    if alignment == "moved":
        shift = target - scene.view.to_world(trunk)[:, 0]
    elif alignment == "scaled":
        scale = scene.view.to_camera(target[:, None])[:, 0, 2] / trunk[:, 0, 2]
        # A body behind its camera cannot be scaled before it.
        scale = torch.where(scale > 0, scale, torch.nan)
    return Placement(scene, scale, shift)
