"""A fitter, a prior, a data set, a detector, a metric and a protocol, each as plain as its contract allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from nbf_core.contracts import BodyModel, FeatureBank, Occluder, OcclusionCase, Prior, Renderer
from nbf_core.errors import InputError, ShapeError
from nbf_core.types import BodyParams, Camera, FitResult, Kernels, Observation, Person, Sample
from nbf_testing.claims import seeded
from nbf_testing.people import PARAMETERS, standing


class FakeFitter:
    """Shifts people sideways until the middle of their keypoints is where it is seen."""

    def __init__(
        self, config: object, body: BodyModel, renderer: Renderer, bank: FeatureBank,
        priors: Mapping[str, Prior] | None = None, trust: float = 1.0,
    ) -> None:  # fmt: skip
        self.body, self.renderer = body, renderer

    @torch.no_grad()
    def fit(self, observation: Observation, start: BodyParams) -> FitResult:
        """See :class:`nbf_core.contracts.Fitter`."""
        if observation.features.dim() != 4:
            raise ShapeError(f"features: expected [b, c, h, w], got {list(observation.features.shape)}")
        people, _, height, width = observation.features.shape
        if len(start.transl) != people:
            raise ShapeError(f"start: {len(start.transl)} people, {people} are observed")
        clean = start.map(lambda value: torch.nan_to_num(value, posinf=0.0, neginf=0.0))
        before, shift, usable = self._shift(observation, start, clean)
        moved = replace(clean, transl=clean.transl + shift)
        after, _, _ = self._shift(observation, start, moved)
        kept = usable & (after < before)
        params = BodyParams(**{name: _pick(kept, getattr(moved, name), getattr(clean, name)) for name in PARAMETERS})
        silhouette = self._silhouette(params, observation.camera)
        loss = torch.where(kept, after, torch.where(usable, before, 0))
        return FitResult(
            params=params, start=clean, loss=loss, start_loss=torch.where(usable, before, 0), kept=kept,
            silhouette=silhouette, occlusion=torch.zeros_like(silhouette, dtype=torch.bool),
        )  # fmt: skip

    def _shift(self, observation: Observation, start: BodyParams, params: BodyParams) -> tuple[Tensor, Tensor, Tensor]:
        """Error (px), the shift (m) that would mend it, and for whom all this is known."""
        none = params.transl.new_zeros(len(params.transl))
        if observation.keypoints is None:
            return none, torch.zeros_like(params.transl), none > 0
        output = self.body(params, vertices=False)
        points = observation.camera.project(self.body.keypoints(output, observation.keypoint_set))
        weight = torch.nan_to_num(observation.keypoints[..., 2:])
        error = weight * torch.nan_to_num(observation.keypoints[..., :2] - points)
        error = error.sum(1) / weight.sum(1).clamp_min(1e-6)
        depth = params.transl[:, 2:]
        shift = torch.cat([error * depth / observation.camera.focal, torch.zeros_like(depth)], -1)
        usable = torch.stack([getattr(start, name).flatten(1).isfinite().all(1) for name in PARAMETERS]).all(0)
        usable &= (depth[:, 0] > 0.1) & (weight.sum((1, 2)) > 0) & (error.abs().amax(1) < 1e3)
        return error.norm(dim=1), torch.where(usable[:, None], shift, 0), usable

    def _silhouette(self, params: BodyParams, camera: Camera) -> Tensor:
        kernels = self.body(params, vertices=False).kernels
        precision = kernels.new_full(kernels.shape[:2], self.body.spec.kernel_precision)
        drawn = self.renderer.render(Kernels(kernels, precision), camera, kernels.new_ones(*kernels.shape[:2], 1))
        return torch.nan_to_num(drawn.silhouette).clamp(0, 1)


class FakePrior:
    """The squared norm of the pose."""

    def __call__(self, params: BodyParams) -> Tensor:
        """See :class:`nbf_core.contracts.Prior`."""
        return params.body_pose.square().sum((-1, -2))


class FakeDataset:
    """Standing people before grey; all labels but the maps."""

    def __init__(self, config: object, body: BodyModel) -> None:
        self.body, self.side = body, 32

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Sample:
        """See :class:`nbf_core.contracts.Dataset`."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        params, camera = standing(self.body.spec, 1, (self.side, self.side), seed=index)
        params, camera = params.to(dtype=torch.float32), camera.to(dtype=torch.float32)
        with torch.no_grad():
            pixels = camera.project(self.body.keypoints(self.body(params, vertices=False), "openpose-25"))[0]
        inside = ((pixels >= 0) & (pixels < self.side)).all(-1, keepdim=True).to(pixels)
        keypoints = torch.cat([pixels, inside], -1)
        image = torch.randint(0, 256, (3, self.side, self.side), generator=seeded(index), dtype=torch.uint8)
        return Sample(
            image=image, camera=camera[0], index=torch.tensor(index), params=params[0], keypoints=keypoints,
            detected=keypoints.clone(),
        )  # fmt: skip


class FakeDetector:
    """One person about whatever differs from the corner of the photo; no keypoints."""

    def detect(self, image: np.ndarray) -> list[Person]:
        """See :class:`nbf_core.contracts.Detector`. Raises InputError for another kind of image."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise InputError(f"image: expected uint8 [h, w, 3], got {image.dtype} {list(image.shape)}")
        rows, columns = (image != image[:1, :1]).any(-1).nonzero()
        if len(rows) == 0:
            return []
        box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)
        return [Person(box=box, keypoints=np.zeros((25, 3), np.float32), score=0.5)]


class FakeMetric:
    """The distance of the farthest visible joint."""

    unit, lower_is_better, takes = "mm", True, "joints"

    def __call__(self, predicted: Tensor, truth: Tensor, visible: Tensor) -> Tensor:
        """See :class:`nbf_core.contracts.Metric`."""
        if predicted.dim() != 3 or predicted.shape != truth.shape:
            raise ShapeError(f"predicted: {list(predicted.shape)} is not truth's shape {list(truth.shape)}")
        if visible.shape != truth.shape[:2]:
            raise ShapeError(f"visible: expected {list(truth.shape[:2])}, got {list(visible.shape)}")
        distance = 1000 * (predicted - truth).norm(dim=-1)
        worst = torch.where(visible > 0, distance, -torch.inf).amax(-1)  # amax passes NaN on
        return torch.where((visible > 0).any(-1), worst, torch.nan)


class FakeProtocol:
    """A black patch in the middle of the picture, or a white one beside it."""

    cases = (OcclusionCase("middle", 64.0),)

    def __init__(self, config: object = None, seed: int = 0) -> None:
        self.seed = seed

    def occluders(self, case: OcclusionCase, image_size: tuple[int, int], index: int) -> tuple[Occluder, ...]:
        """See :class:`nbf_core.contracts.OcclusionProtocol`."""
        height, width = image_size
        return (Occluder(width // 3, height // 3, 2 * width // 3, 2 * height // 3, size=64.0),)

    def apply(self, samples: Sample, occluders: Sequence[Occluder], joints: Tensor | None = None) -> Sample:
        """A copy with black squares; what lies behind is hidden."""
        changes: dict[str, Tensor] = {"image": samples.image.clone(memory_format=torch.contiguous_format)}
        for name in ("keypoints", "detected", "visible_joints", "kernel_map", "part_map"):
            value = getattr(samples, name)
            if value is not None:
                changes[name] = value.clone(memory_format=torch.contiguous_format)
        height, width = samples.image.shape[-2:]
        for person, one in enumerate(occluders):
            changes["image"][person, :, max(one.y0, 0) : max(one.y1, 0), max(one.x0, 0) : max(one.x1, 0)] = 0
            for name in ("keypoints", "detected"):
                if name in changes:
                    changes[name][person, _behind(changes[name][person], one), 2] = 0
            if joints is not None and "visible_joints" in changes:
                changes["visible_joints"][person, _behind(joints[person], one)] = 0
            for name in ("kernel_map", "part_map"):
                if name in changes:
                    rows, columns = changes[name].shape[1:]
                    y = (torch.arange(rows) + 0.5) * height / rows
                    x = (torch.arange(columns) + 0.5) * width / columns
                    hidden = ((y >= one.y0) & (y < one.y1))[:, None] & (x >= one.x0) & (x < one.x1)
                    changes[name][person][hidden] = -2
        return replace(samples, **changes)

    def worst(self, values: Tensor, lower_is_better: bool) -> Tensor:
        """The first of the worst; NaN never is."""
        badness = values if lower_is_better else -values
        return torch.where(badness.isnan(), -torch.inf, badness).argmax(0)


def _behind(points: Tensor, one: Occluder) -> Tensor:
    x, y = points[:, 0], points[:, 1]
    return (x >= one.x0) & (x < one.x1) & (y >= one.y0) & (y < one.y1)


def _pick(where: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return torch.where(where.view(-1, *[1] * (first.dim() - 1)), first, second)
