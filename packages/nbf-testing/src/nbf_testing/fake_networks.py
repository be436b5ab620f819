"""A bank and a regressor that fulfil their contracts in the plainest way."""

from __future__ import annotations

import roma
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nbf_core.contracts import BodyModel
from nbf_core.errors import InputError, ShapeError
from nbf_core.geometry.camera import central_ray_rotation, translation_to_weak
from nbf_core.types import BodySpec, RegressorOutput, Sample
from nbf_core.types.sample import UNKNOWN

BINS = 3


class FakeBank(nn.Module):
    """The last feature seen of each kernel and bin, and the mean of all background."""

    def __init__(self, config: object = None, *, spec: BodySpec, channels: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        features = torch.randn(spec.kernels, BINS, channels, generator=draw)
        self.register_buffer("features", F.normalize(features, dim=-1))
        self.register_buffer("background", F.normalize(torch.randn(channels, generator=draw), dim=-1))

    @torch.no_grad()
    def update(self, features: Tensor, kernels: Tensor, orientation: Tensor, visible: Tensor, background: Tensor):
        """See :class:`nbf_core.contracts.FeatureBank`."""
        self._check(features, kernels, orientation, visible, background)
        if not visible.any():
            return
        if not (features[visible].isfinite().all() and background.isfinite().all()):
            raise FloatingPointError("bank: features are not finite")
        size, bins, channels = self.features.shape
        place = (kernels * bins + orientation)[visible]
        sums = torch.zeros_like(self.features).view(-1, channels).index_add(0, place, features[visible])
        seen = torch.bincount(place, minlength=size * bins) > 0
        self.features.view(-1, channels)[seen] = F.normalize(sums[seen], dim=-1)
        self.background.copy_(F.normalize(self.background + background.flatten(0, 1).mean(0), dim=-1))

    def loss(self, features: Tensor, kernels: Tensor, orientation: Tensor, visible: Tensor, background: Tensor):
        """One minus the mean cosine of what is visible; background unlike the body."""
        self._check(features, kernels, orientation, visible, background)
        own = self.features[torch.where(visible, kernels, 0), torch.where(visible, orientation, 0)]
        count = visible.sum().clamp_min(1)
        apart = background @ self.features.mean((0, 1))
        return {
            "likeness": ((1 - (features * own).sum(-1)) * visible).sum() / count,
            "background": apart.sum() / max(apart.numel(), 1),
        }

    def clutter(self, centers: int = 1) -> Tensor:
        """One centre, whatever is asked for."""
        return self.background[None].clone()

    def _check(self, features, kernels, orientation, visible, background) -> None:
        size, bins, channels = self.features.shape
        for name, value in (("features", features), ("background", background)):
            if value.dim() != 3 or value.shape[-1] != channels:
                raise ShapeError(f"{name}: expected [b, n, {channels}], got {list(value.shape)}")
        for name, value in (("kernels", kernels), ("orientation", orientation), ("visible", visible)):
            if value.shape != features.shape[:2]:
                raise ShapeError(f"{name}: expected {list(features.shape[:2])}, got {list(value.shape)}")
        if (visible & ((kernels < 0) | (kernels >= size) | (orientation < 0) | (orientation >= bins))).any():
            raise InputError(f"a visible kernel or bin does not exist: there are {size} kernels of {bins} bins")


class FakeRegressor(nn.Module):
    """Two convolutions; everything but the maps from their mean over the picture."""

    channels, image_size, map_size = 8, 32, 16

    def __init__(self, config: object = None, *, spec: BodySpec) -> None:
        super().__init__()
        self.joints, self.shapes = len(spec.joint_names), spec.shapes
        self.features = nn.Sequential(nn.Conv2d(3, self.channels, 3, 2, 1), nn.GELU(), nn.Conv2d(8, 8, 3, 1, 1))
        self.parts = nn.Conv2d(self.channels, self.joints + 1, 1)
        self.numbers = nn.Linear(self.channels, 6 * self.joints + self.shapes + 3)

    def forward(self, images: Tensor) -> RegressorOutput:
        """See :class:`nbf_core.contracts.Regressor`."""
        if images.dim() != 4 or tuple(images.shape[1:]) != (3, self.image_size, self.image_size):
            raise ShapeError(f"images: expected [b, 3, {self.image_size}, {self.image_size}], got {list(images.shape)}")
        features = self.features(images)
        turns, betas, camera = self.numbers(features.mean((2, 3))).split([6 * self.joints, self.shapes, 3], 1)
        basis = turns.view(-1, self.joints, 3, 2) + torch.eye(3, 2).to(turns)
        return RegressorOutput(
            rotations=roma.special_gramschmidt(basis),
            betas=betas,
            weak_camera=camera + camera.new_tensor([0.8, 0, 0]),
            features=features,
            parts=self.parts(features),
        )

    def loss(self, output: RegressorOutput, sample: Sample, body: BodyModel) -> dict[str, Tensor]:
        """Squares of what is known; cross entropy of the part map."""
        terms = {}
        if sample.params is not None:
            params, ray = sample.params, central_ray_rotation(sample.camera)
            truth = roma.rotvec_to_rotmat(torch.cat([params.global_orient[:, None], params.body_pose], 1))
            root = ray.mT @ truth[:, 0]
            known = slice(None) if sample.with_params is None else sample.with_params
            error = output.rotations - torch.cat([root[:, None], truth[:, 1:]], 1)
            terms["rotations"] = error[known].square().mean()
            terms["shape"] = (output.betas - params.betas)[known].square().mean()
            weak = translation_to_weak(params.transl, sample.camera)
            terms["camera"] = (output.weak_camera - weak)[known].square().mean()
        if sample.part_map is not None:
            target = torch.where(sample.part_map < 0, self.joints, sample.part_map.long())
            target = torch.where(sample.part_map == UNKNOWN, -100, target)
            terms["parts"] = F.cross_entropy(output.parts, target, ignore_index=-100)
        return terms
