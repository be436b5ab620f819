"""The data set of rendered people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from nbf_core.contracts import BodyModel
from nbf_core.conventions import OPENPOSE_25, mirror_permutation
from nbf_core.types import BodyParams, Camera, Sample
from nbf_data_synthetic import augment, pixels
from nbf_data_synthetic.cache import BaseCache, fill
from nbf_data_synthetic.config import SyntheticConfig
from nbf_data_synthetic.occluders import draw_occluders
from nbf_data_synthetic.placing import pose_body
from nbf_data_synthetic.rendering import Base, BaseRenderer
from nbf_datasets.patches import REFERENCE, Patch, draw, hide_map, texture

_AUGMENT, _PATCH, _DETECTOR = 1, 2, 3  # what further random numbers are for
_OTHERS = 1 << 40  # base pictures from this index on are no samples: occluders and borders are cut from them


class SyntheticPeople:
    """Rendered people with exact labels: one configuration and index give one sample, on any machine.

    With ``config.augment`` each epoch (:meth:`set_epoch`) turns, scales, recolours and occludes anew.
    """

    def __init__(self, config: SyntheticConfig, body: BodyModel, renderer: BaseRenderer | None = None):
        self.config = config
        self._renderer = renderer or BaseRenderer(config, body)
        spec = self._renderer.body.spec
        self._kernel_parts = spec.vertex_parts[spec.kernel_vertices].numpy().astype(np.int64)
        self._mirrors = (
            np.array(spec.mirror_joints),
            np.array(mirror_permutation(OPENPOSE_25)),
            spec.kernel_mirror.numpy().astype(np.int16),
        )
        self._root, self._root_directions = self._rest_root()
        self._shared_epoch = torch.zeros(1, dtype=torch.int64).share_memory_()  # workers see it change
        self._own_epoch: int | None = None
        self._others: np.ndarray | None = None
        self._cache = BaseCache.open(self._renderer, config.cache) if config.cache else None

    def __len__(self) -> int:
        return self.config.size

    def set_epoch(self, epoch: int) -> None:
        """Choose the augmentation of an epoch; without ``config.augment`` nothing changes.

        In a worker process of a loader it is that worker's alone, otherwise all workers see it.
        """
        if torch.utils.data.get_worker_info() is None:
            self._shared_epoch.fill_(epoch)
        else:
            self._own_epoch = epoch

    @property
    def _epoch(self) -> int:
        return int(self._shared_epoch) if self._own_epoch is None else self._own_epoch

    def prepare(self, directory: str | Path | None = None, workers: int = 1) -> None:
        """Render what is missing into ``directory`` (default: ``config.cache``); from now on read there."""
        directory = directory or self.config.cache
        if directory is None:
            raise ValueError("prepare: no directory given, and the configuration names no cache")
        fill(self._renderer, Path(directory), workers)
        self._cache = BaseCache(self._renderer, Path(directory))
        if self.config.augment:
            self._pictures()  # before a loader starts its workers, so that they share them

    def base(self, index: int) -> Base:
        """The sample before augmentation, noise and occluders, read from the cache or rendered."""
        if not 0 <= index < self.config.size:
            raise IndexError(f"sample {index} of {self.config.size}")
        return self._cache(index) if self._cache else self._renderer(index)

    def __getitem__(self, index: int) -> Sample:
        base = self.base(index)
        image, base, patches = (self._augmented if self.config.augment else self._plain)(index, base)
        kernel_map = base.kernel_map.astype(np.int64)
        for patch in patches:
            if isinstance(patch, Patch):
                hide_map(kernel_map, patch, image.shape[1:])
            else:
                patch.hide_map(kernel_map, self.config.image_size)
        part_map = np.where(kernel_map >= 0, self._kernel_parts[kernel_map], kernel_map)
        keypoints = self._seen(base.keypoints, base.keypoints_free, patches)
        joints = self._seen(base.joints, base.joints_free, patches)
        size = self.config.image_size
        return Sample(
            image=torch.from_numpy(image),
            camera=Camera(
                focal=torch.full((2,), float(base.focal)),
                center=torch.full((2,), size / 2),
                size=(size, size),
            ),
            index=torch.tensor(index),
            params=BodyParams(
                global_orient=torch.tensor(base.pose[0]),
                body_pose=torch.tensor(base.pose[1:]),
                betas=torch.tensor(base.betas),
                transl=torch.tensor(base.transl),
            ),
            keypoints=torch.from_numpy(keypoints),
            detected=torch.from_numpy(self._detected(index, keypoints)),
            visible_joints=torch.from_numpy(joints[:, 2].copy()),
            kernel_map=torch.from_numpy(kernel_map),
            part_map=torch.from_numpy(part_map),
        )

    def _plain(self, index: int, base: Base) -> tuple[np.ndarray, Base, list]:
        """The one patch that the configuration asks for, then a camera's noise and sometimes its blur.

        The noise is the same with and without the patch, so that the two can be compared.
        """
        image = np.array(base.image)
        patches = [self._test_patch(index, base, image)] if self.config.patch_size else []
        rng = self._renderer.generator(index, _AUGMENT)
        blur = int(rng.random() < self.config.blur) * int(rng.integers(1, 3))
        pixels.soften(image, blur)
        pixels.add_noise(image, self.config.noise, 0.0, int(rng.integers(1 << 62)))
        return image, base, patches

    def _test_patch(self, index: int, base: Base, image: np.ndarray) -> Patch:
        """Draw a patch around one of the joints in the picture, or its middle where there is none."""
        rng = self._renderer.generator(index, _PATCH)
        inside = base.joints[((base.joints >= 0) & (base.joints < self.config.image_size)).all(1)]
        around = inside if len(inside) else np.full((1, 2), self.config.image_size / 2)
        jitter = rng.standard_normal(2) * 12 * self.config.image_size / REFERENCE
        x, y = around[int(rng.integers(len(around)))] + jitter
        patch = Patch.around(float(x), float(y), self.config.patch_size, self.config.image_size)
        draw(image.transpose(1, 2, 0), patch, texture(rng, patch.y1 - patch.y0, patch.x1 - patch.x0))
        return patch

    def _augmented(self, index: int, base: Base) -> tuple[np.ndarray, Base, list]:
        """Anew in each epoch; occluders are drawn before blur and noise, as a camera would see them."""
        rng = self._renderer.generator(index, _AUGMENT, self._epoch)
        change = augment.draw_similarity(rng)
        pictures = self._pictures()
        border = augment.draw_border(rng, pictures)
        image = pixels.resampled(base.image, np.linalg.inv(change.matrix), border)
        pixels.recolour(image, augment.colour_tables(rng), augment.draw_saturation(rng))
        root = self._root + self._root_directions @ base.betas
        base = augment.moved(base, change, root, *self._mirrors)
        patches = []
        if rng.random() < self.config.patch_probability:
            patches = draw_occluders(rng, base.joints, self.config.image_size, len(pictures))
            for patch in patches:
                patch.draw(image, pictures)
        return augment.photographed(rng, image), base, patches

    def _pictures(self) -> np.ndarray:
        """Pictures that cut-outs and borders are taken from, uint8 [16, 3, h, h]: people who are in no sample."""
        if self._others is None:
            self._others = np.stack([self._renderer(_OTHERS + k).image for k in range(16)])
        return self._others

    def _seen(self, points: np.ndarray, free: np.ndarray, patches: list) -> np.ndarray:
        """Pixel coordinates with 1 where they are inside the image and nothing stands before, float32 [n, 3]."""
        visible = ((points >= 0) & (points < self.config.image_size)).all(1) & (free > 0)
        for patch in patches:
            visible &= ~patch.holds(points)
        return np.concatenate([points, visible[:, None]], 1).astype(np.float32)

    def _detected(self, index: int, keypoints: np.ndarray) -> np.ndarray:
        """What a detector might say: noise, confidences about .85, some keypoints missing, some far off."""
        config = self.config
        more = (self._epoch,) if config.augment else ()
        rng = self._renderer.generator(index, _DETECTOR, *more)
        noise = rng.standard_normal((len(keypoints), 2)) * config.keypoint_noise * config.image_size / REFERENCE
        luck = rng.random(len(keypoints))
        outlier = luck > 1 - config.keypoint_outlier
        noise[outlier] *= 3
        confidence = np.clip(0.85 + 0.08 * rng.standard_normal(len(keypoints)) - 0.25 * outlier, 0.2, 1.0)
        confidence *= (luck >= config.keypoint_drop) * keypoints[:, 2]
        return np.concatenate([keypoints[:, :2] + noise, confidence[:, None]], 1).astype(np.float32)

    def _rest_root(self) -> tuple[np.ndarray, np.ndarray]:
        """The unposed root joint: its mean [3] and its change with the shape [3, shapes]."""
        shapes = self._renderer.shapes
        still = np.zeros((24, 3))
        mean = pose_body(self._renderer.body, still, np.zeros(shapes))[1][0]
        columns = [pose_body(self._renderer.body, still, row)[1][0] - mean for row in np.eye(shapes)]
        return mean, np.stack(columns, 1)
