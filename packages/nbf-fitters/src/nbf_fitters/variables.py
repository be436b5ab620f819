"""The free variables of a fit, scaled so that one learning rate suits them all."""

from __future__ import annotations

from collections.abc import Sequence

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from nbf_core.types import BodyParams, Camera

CLOSEST_VIEW = 0.3
"""Metres of the body that the map must show at least: nobody is fitted nearer to the camera than that."""


def nearest_depth(camera: Camera) -> Float[Tensor, "b"]:
    """The depth in metres at which the map shows ``CLOSEST_VIEW``; nearer bodies would cover every pixel."""
    return CLOSEST_VIEW * camera.focal.amax(-1) / max(camera.size)


class BodyVariables:
    """Body parameters as steps from ``base``, of which only those in ``free`` are optimised.

    * The root turns by an increment composed from the left, about the camera's axes: no singular start.
    * Body joints are plain axis-angle.
    * Translation is ``exp(d) (t_base + (x, y, 0))``. Here ``x`` and ``y`` are metres at the person, of the
      size of the body whatever the distance, and ``d`` scales the picture of the body without shifting it.
      In metres a step that suits x and y would hardly change the depth of somebody ten metres away.
      The depth is kept at ``nearest`` (metres, one a person) or beyond.
    """

    def __init__(self, base: BodyParams, free: Sequence[str], nearest: Float[Tensor, "b"]):
        base = base.detach().clone()
        base.transl[..., 2].clamp_(min=nearest)
        self.base, self._lowest = base, torch.log(nearest / base.transl[..., 2])
        self.turn = torch.zeros_like(base.global_orient)
        self.shift = torch.zeros_like(base.transl)
        self.pose = base.body_pose.clone()
        self.betas = base.betas.clone()
        by_name = {
            "orientation": self.turn,
            "translation": self.shift,
            "body_pose": self.pose,
            "betas": self.betas,
        }
        self._turns = "orientation" in free
        self.leaves: list[Tensor] = [by_name[name].requires_grad_() for name in dict.fromkeys(free)]

    def params(self) -> BodyParams:
        """The current parameters, attached to the variables."""
        orient = self.base.global_orient
        if self._turns:
            orient = roma.rotvec_composition([self.turn, orient])
        scale = torch.maximum(self.shift[..., 2], self._lowest)
        moved = self.base.transl + torch.nn.functional.pad(self.shift[..., :2], (0, 1))
        return BodyParams(
            global_orient=orient,
            body_pose=self.pose,
            betas=self.betas,
            transl=moved * torch.exp(scale)[..., None],
        )

    def clean_gradients(self) -> None:
        """Replace gradients that are not finite by zero, so that one person's failure stays theirs."""
        for leaf in self.leaves:
            if leaf.grad is not None:
                torch.nan_to_num_(leaf.grad, nan=0.0, posinf=0.0, neginf=0.0)
