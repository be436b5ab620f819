"""Looking twice: at a picture, and at its mirror image, where left and right have changed places.

A network errs differently on the two, about sides above all; the mean of what it says of both is better than either.
"""

from __future__ import annotations

import math
from dataclasses import replace

import roma
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from nbf_core.contracts import BodyModel, FeatureBank, Regressor
from nbf_core.errors import ConfigError
from nbf_core.types import BodySpec, RegressorOutput, Sample

_TRAINING = "fit.mirror: networks that look twice are not trained; train them without it"

AGREE = math.pi / 2
"""Radians: a joint that the two looks turn further apart than that keeps the first look's rotation."""


def looking_twice(regressor: Regressor, bank: FeatureBank, spec: BodySpec) -> tuple[Regressor, FeatureBank]:
    """A trained regressor and its bank, made to look at pictures and their mirror images.

    The body must be its own mirror image at rest (``mirror_joints``, ``kernel_mirror``).
    """
    return MirroredRegressor(regressor, spec), MirroredBank(bank, spec.kernel_mirror)


class MirroredRegressor(nn.Module):
    """A regressor of ``2 c`` channels: ``c`` of the picture, then ``c`` of its mirror image, each of length 1/sqrt(2).

    So the cosine between such a feature and one of :class:`MirroredBank` is the mean of both looks' cosines. Estimate
    and part logits are means, rotations chordal ones.
    """

    def __init__(self, regressor: Regressor, spec: BodySpec) -> None:
        super().__init__()
        self.regressor = regressor
        self.channels, self.image_size, self.map_size = 2 * regressor.channels, regressor.image_size, regressor.map_size
        self._joints = list(spec.mirror_joints)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> RegressorOutput:
        """See the contract; one pass of twice as many pictures."""
        both = self.regressor(torch.cat([images, images.flip(-1)]))
        one, other = both[: len(images)], self._mirrored(both[len(images) :])
        features = [functional.normalize(look.features, dim=1) for look in (one, other)]
        return RegressorOutput(
            rotations=_mean_rotations(one.rotations, other.rotations),
            betas=(one.betas + other.betas) / 2,
            weak_camera=(one.weak_camera + other.weak_camera) / 2,
            features=torch.cat(features, dim=1) / math.sqrt(2),
            parts=(one.parts + other.parts) / 2,
        )

    def _mirrored(self, output: RegressorOutput) -> RegressorOutput:
        """What the output for a mirror image says of the picture."""
        flip = output.rotations.new_tensor([-1.0, 1.0, 1.0])
        parts = [*self._joints, *range(len(self._joints), output.parts.shape[1])]
        return replace(
            output,
            rotations=flip[:, None] * output.rotations[:, self._joints] * flip,
            weak_camera=output.weak_camera * output.weak_camera.new_tensor([1.0, -1.0, 1.0]),
            features=output.features.flip(-1),
            parts=output.parts.flip(-1)[:, parts],
        )

    def loss(self, output: RegressorOutput, sample: Sample, body: BodyModel) -> dict[str, Float[Tensor, ""]]:
        """Raises ConfigError: it is the regressor inside that is trained."""
        raise ConfigError(_TRAINING)


class MirroredBank(nn.Module):
    """The bank for the features of :class:`MirroredRegressor`: each kernel's, then those of its mirror image."""

    features: Float[Tensor, "k o c"]

    def __init__(self, bank: FeatureBank, mirror: Int[Tensor, "k"]) -> None:
        super().__init__()
        self.bank = bank
        own = bank.features.detach()
        self.register_buffer("features", torch.cat([own, own[mirror.to(own.device)]], dim=-1) / math.sqrt(2))

    def clutter(self, centers: int = 1) -> Float[Tensor, "m c"]:
        """See the contract; clutter is its own mirror image."""
        clutter = self.bank.clutter(centers)
        return torch.cat([clutter, clutter], dim=-1) / math.sqrt(2)

    def update(self, *args: Tensor) -> None:
        """Raises ConfigError: it is the bank inside that is trained."""
        raise ConfigError(_TRAINING)

    def loss(self, *args: Tensor) -> dict[str, Float[Tensor, ""]]:
        """Raises ConfigError: it is the bank inside that is trained."""
        raise ConfigError(_TRAINING)


def _mean_rotations(first: Float[Tensor, "b J 3 3"], second: Float[Tensor, "b J 3 3"]) -> Float[Tensor, "b J 3 3"]:
    """The chordal mean where the two agree, else the first: between opposite views of somebody there is no mean."""
    agree = roma.rotmat_geodesic_distance(first, second) < AGREE
    mean = roma.special_procrustes((first + second).float())
    return torch.where(agree[..., None, None], mean.to(first), first)
