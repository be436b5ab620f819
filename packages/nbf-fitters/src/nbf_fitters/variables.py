"""The free variables of a fit, scaled so that one learning rate suits them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from nbf_core.errors import ConfigError
from nbf_core.types import BodyParams, Camera

CLOSEST_VIEW = 0.3
"""Metres of the body that the map must show at least: nobody is fitted nearer to the camera than that."""

ORDER = ("orientation", "translation", "body_pose", "betas")


def nearest_depth(camera: Camera) -> Float[Tensor, "b"]:
    """The depth in metres at which the map shows ``CLOSEST_VIEW``; nearer bodies would cover every pixel."""
    return CLOSEST_VIEW * camera.focal.amax(-1) / max(camera.size)


def joint_indices(joints: Sequence[str], names: Sequence[str]) -> tuple[int, ...]:
    """Where these joints stand in ``body_pose``, which has no root. Raises ConfigError naming one that is not there."""
    for name in names:
        if name not in joints[1:]:
            raise ConfigError(f"fitter.held_joints: the body has no joint {name!r}; joints: {', '.join(joints[1:])}")
    return tuple(joints.index(name) - 1 for name in names)


class BodyVariables:
    """Steps away from ``base``, of which only those in ``free`` are optimised: one leaf ``steps``, [b, n], at zero.

    * The root turns by an increment composed from the left, about the camera's axes: no singular start.
    * Body joints are plain axis-angle; those at the indices ``held`` stay.
    * Translation is ``exp(d) (t_base + (x, y, 0))``. Here ``x`` and ``y`` are metres at the person, of the
      size of the body whatever the distance, and ``d`` scales the picture of the body without shifting it.
      In metres a step that suits x and y would hardly change the depth of somebody ten metres away.
      The depth is kept at ``nearest`` (metres, one a person) or beyond.

    ``plain`` takes orientation and translation as they are instead: steps of an axis-angle and metres. With ``shared``
    everybody is one person: one shape for all, the mean of theirs to begin with.
    """

    def __init__(
        self,
        base: BodyParams,
        free: Sequence[str],
        nearest: Float[Tensor, "b"],
        plain: bool = False,
        held: Sequence[int] = (),
        shared: bool = False,
    ):
        base = base.detach().clone()
        base.transl[..., 2].clamp_(min=nearest)
        if shared:
            base = replace(base, betas=base.betas.mean(0, keepdim=True).expand_as(base.betas))
        self.base, self._nearest, self._lowest = base, nearest, torch.log(nearest / base.transl[..., 2])
        self._plain, self._shared, self._names = plain, shared, frozenset(free)
        pose = base.body_pose
        self._sizes = [3, 3, pose[0].numel(), base.betas.shape[-1]]
        self.steps = base.transl.new_zeros(len(base.transl), sum(self._sizes)).requires_grad_()
        share = [torch.full((size,), float(name in free)) for name, size in zip(ORDER, self._sizes, strict=True)]
        if held:
            share[2].view(-1, 3)[list(held)] = 0
        self._free = torch.cat(share).to(self.steps)

    def params(self) -> BodyParams:
        """The current parameters, attached to the steps."""
        turn, shift, pose, betas = (
            part if name in self._names else None
            for name, part in zip(ORDER, self.steps.split(self._sizes, dim=-1), strict=True)
        )
        base = self.base
        orient, transl = base.global_orient, base.transl
        if turn is not None:
            orient = orient + turn if self._plain else roma.rotvec_composition([turn, orient])
        if shift is not None:
            transl = self._metres(shift) if self._plain else self._scaled(shift)
        return BodyParams(
            global_orient=orient,
            body_pose=base.body_pose if pose is None else base.body_pose + pose.view_as(base.body_pose),
            betas=base.betas if betas is None else base.betas + betas,
            transl=transl,
        )

    def _metres(self, shift: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3"]:
        x, y, depth = (self.base.transl + shift).unbind(-1)
        return torch.stack([x, y, torch.maximum(depth, self._nearest)], dim=-1)

    def _scaled(self, shift: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3"]:
        scale = torch.maximum(shift[..., 2], self._lowest)
        return (self.base.transl + torch.nn.functional.pad(shift[..., :2], (0, 1))) * torch.exp(scale)[..., None]

    def gradient(self, total: Float[Tensor, "b"]) -> Float[Tensor, "b n"]:
        """How ``total`` changes with the steps that are free; zero where that is not finite or not free.

        One person's failure stays theirs.
        """
        (gradient,) = torch.autograd.grad(total.sum(), self.steps)
        gradient = torch.nan_to_num_(gradient, nan=0.0, posinf=0.0, neginf=0.0).mul_(self._free)
        if self._shared:
            betas = gradient[:, -self._sizes[-1] :]
            betas.copy_(betas.mean(0, keepdim=True).expand_as(betas))
        return gradient
