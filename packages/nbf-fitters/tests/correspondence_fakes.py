"""A body of tubes that tells its skinning, and ideal scenes of it."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from fitting_fakes import DenseRenderer, FixedBank, StickBody, disturb, observe, people
from torch import Tensor

from nbf_core.types import BodyParams, Kernels, Observation, Skinning
from nbf_fitters.correspondence.config import CorrespondenceConfig
from nbf_fitters.correspondence.fitter import CorrespondenceFitter

SIZE = 40
AROUND = 6


class TubeBody(StickBody):
    """The stick body with kernels around its bones, so that a part shows how it is turned."""

    def __init__(self):
        super().__init__()
        angle = torch.arange(AROUND, dtype=torch.float64) * 2 * math.pi / AROUND
        ring = torch.stack([angle.cos(), angle.sin()], dim=-1)
        count = len(self.owner)
        ends = self.spec.kernel_rest
        axis = F.normalize(self.offset, dim=-1)
        side = F.normalize(
            torch.linalg.cross(axis, torch.tensor([0.3, 0.5, 0.8], dtype=torch.float64).expand_as(axis)), dim=-1
        )
        other = torch.linalg.cross(axis, side)
        radius = torch.where(self.spec.kernel_limbs == 0, 0.1, 0.05)[:, None, None]
        around = radius * (ring[:, :1] * side[:, None] + ring[:, 1:] * other[:, None])
        self.owner = self.owner.repeat_interleave(AROUND)
        self.offset = (self.offset[:, None] + around).flatten(0, 1)
        rest = (ends[:, None] + around).flatten(0, 1)
        near = torch.cdist(rest, rest) < 0.12
        index = torch.arange(count * AROUND)
        self.spec = replace(
            self.spec,
            kernel_vertices=index,
            kernel_limbs=self.spec.kernel_limbs.repeat_interleave(AROUND),
            kernel_mirror=index,
            kernel_adjacency=near & ~torch.eye(len(rest), dtype=torch.bool),
            kernel_rest=rest,
            kernel_precision=1500.0,
        )

    def skinning(self) -> Skinning:
        """Rigid parts; shape 0 scales everything by 5 percent."""
        eye = torch.eye(24, dtype=torch.float64)

        def directions(points: Tensor) -> Tensor:
            return torch.cat([0.05 * points[..., None], points.new_zeros(len(points), 3, 9)], dim=-1)

        markers = self.rest[self.marker_owner] + self.marker_offset
        rest = self.spec.kernel_rest
        return Skinning(
            parents=self.spec.parents,
            joints=self.rest,
            joint_directions=directions(self.rest),
            kernels=rest,
            kernel_directions=directions(rest),
            kernel_weights=eye[self.owner],
            markers=markers,
            marker_directions=directions(markers),
            marker_weights=eye[self.marker_owner],
        )


BODY = TubeBody()
BANK = FixedBank(BODY, channels=48)


def scene(count: int = 2, degrees: float = 12, seed: int = 0) -> tuple[BodyParams, Observation, BodyParams]:
    """Truth, what is seen of it, and a start that is off by so many degrees a joint."""
    truth, camera = people(count, SIZE, seed)
    start = replace(disturb(truth, degrees, seed + 1), transl=truth.transl)
    return truth, observe(BODY, BANK, truth, camera), start


def fitter(trust: float = 1.0, **changes) -> CorrespondenceFitter:
    """With settings for these bodies, for whom there are no priors."""
    settings = {"priors": {}, "min_pixels": 10, **changes}
    return CorrespondenceFitter(CorrespondenceConfig(**settings), BODY, DenseRenderer(), BANK, {}, trust)


def joint_error(params: BodyParams, truth: BodyParams) -> Tensor:
    """Metres, root-aligned, [b, j]."""
    joints, target = BODY(params).joints, BODY(truth).joints
    return ((joints - joints[:, :1]) - (target - target[:, :1])).norm(dim=-1)


def kernels_of(params: BodyParams) -> Kernels:
    """As a renderer takes them."""
    means = BODY(params).kernels
    return Kernels(means, means.new_full(means.shape[:2], BODY.spec.kernel_precision))
