"""The free variables of a fit, scaled so that one learning rate suits them all."""

from __future__ import annotations

from collections.abc import Sequence

import roma
import torch
from torch import Tensor

from nbf_core.types import BodyParams

MIN_DEPTH = 0.1
"""Metres; starts nearer than this, or behind the camera, are moved here."""


class BodyVariables:
    """Body parameters as steps from ``base``, of which only those in ``free`` are optimised.

    * The root turns by an increment composed from the left, about the camera's axes: no singular start.
    * Body joints are plain axis-angle.
    * Translation is ``exp(d) (t_base + (x, y, 0))``. Here ``x`` and ``y`` are metres at the person, of the
      size of the body whatever the distance, and ``d`` scales the picture of the body without shifting it.
      In metres a step that suits x and y would hardly change the depth of somebody ten metres away.
    """

    def __init__(self, base: BodyParams, free: Sequence[str]):
        base = base.detach().clone()
        base.transl[..., 2].clamp_(min=MIN_DEPTH)
        self.base = base
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
        moved = self.base.transl + torch.nn.functional.pad(self.shift[..., :2], (0, 1))
        return BodyParams(
            global_orient=orient,
            body_pose=self.pose,
            betas=self.betas,
            transl=moved * torch.exp(self.shift[..., 2:]),
        )

    def clean_gradients(self) -> None:
        """Replace gradients that are not finite by zero, so that one person's failure stays theirs."""
        for leaf in self.leaves:
            if leaf.grad is not None:
                torch.nan_to_num_(leaf.grad, nan=0.0, posinf=0.0, neginf=0.0)
