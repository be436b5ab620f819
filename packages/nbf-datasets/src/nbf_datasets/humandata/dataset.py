"""The data set ``humandata``: typed samples of a HumanData file."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nbf_core.contracts import BodyModel, Conversion, ConverterInfo, FileReport, Occluder, PeopleTable
from nbf_core.contracts.files import Step
from nbf_core.conventions import H36M_17, OPENPOSE_25, SMPL_24, mirror_permutation
from nbf_core.errors import AssetError, ConfigError, InputError
from nbf_core.types import BodyParams, Camera, Sample
from nbf_datasets.folder import read_image
from nbf_datasets.humandata.augment import Augmentation
from nbf_datasets.humandata.checking import check, image_problems, label_problems
from nbf_datasets.humandata.config import HumanDataConfig
from nbf_datasets.humandata.crops import Crop, center_of, side_of
from nbf_datasets.humandata.images import find_images, plain_path
from nbf_datasets.humandata.labels import Labels
from nbf_datasets.humandata.people import write_people
from nbf_datasets.humandata.placing import translation
from nbf_datasets.humandata.reading import is_humandata, read_humandata
from nbf_datasets.humandata.seen import visible_joints
from nbf_datasets.humandata.splitting import held_out
from nbf_datasets.occlusion.paint import behind, covered_cells

_FLIP_25, _FLIP_17, _FLIP_24 = (np.array(mirror_permutation(names)) for names in (OPENPOSE_25, H36M_17, SMPL_24))
_log = logging.getLogger(__name__)


class HumanDataset:
    """The people of a HumanData file as square crops. Labels are read at once, images when a sample is asked for.

    A sample is a function of configuration, epoch (:meth:`set_epoch`), number and body model, in whatever process. Its
    camera is the file's, cropped, where the file has cameras and places; otherwise one of ``config.focal`` whose
    axis goes through the crop's middle, and the body is put where its keypoints are seen by that camera, for
    which ``body`` is needed. Raises AssetError naming file and field where the file cannot be read, ConfigError where
    nothing is left of it to train on; of the split "val" nothing may be left.
    """

    def __init__(self, config: HumanDataConfig, body: BodyModel | None = None) -> None:
        self.config, self.epoch = config, 0
        data = read_humandata(config.path)
        self.images = find_images(data, config.images)
        self._name, self._paths, self._boxes = data.name, data.image_path, data.boxes
        self._labels, self._gender, self._camera = Labels.of(data, config), data.gender, data.camera
        # Of its own: the caller's may be moved to a device that workers cannot reach.
        self._body = None if body is None else copy.deepcopy(body).to("cpu")
        self._augmentation = Augmentation(config)
        self._wrong = {}
        for problem in label_problems(data):
            self._wrong.setdefault(problem.sample, problem)
        self.rows = self._usable(len(data), data)

    def __len__(self) -> int:
        return len(self.rows)

    def set_epoch(self, epoch: int) -> None:
        """Choose the augmentation of an epoch."""
        self.epoch = epoch

    def describe(self, index: int) -> str:
        """Where a sample comes from, for messages."""
        return f"{self._name}: sample {self.rows[index]}"

    def __getitem__(self, index: int) -> Sample:
        """Raises InputError naming file, sample and field where the sample cannot be used."""
        if not 0 <= index < len(self.rows):
            raise IndexError(f"sample {index} of {len(self.rows)}")
        row = int(self.rows[index])
        if row in self._wrong:
            raise InputError(f"{self._name}: {self._wrong[row]}")
        image = self._image(row)
        changed = self._augmentation.draw(self.epoch, row)
        box = self._boxes[row]
        side = side_of(box, self.config.room) * changed.scale
        crop = Crop.around(center_of(box), side, self.config.image_size, changed.degrees, changed.flip)
        pixels = crop.cut(image, self._augmentation.background(self.epoch, row), changed.gain)
        if changed.occluder is not None:
            self._augmentation.paint(pixels, changed.occluder, self.epoch, row)
        camera = self._crop_camera(row, crop)
        keypoints = self._moved(self._labels.keypoints, row, crop)
        size = (self.config.image_size,) * 2
        cells = (self.config.map_size,) * 2
        return Sample(
            image=torch.from_numpy(pixels.transpose(2, 0, 1).copy()),
            camera=camera,
            index=torch.tensor(index),
            params=self._params(row, crop, camera, keypoints),
            keypoints=self._shown(keypoints, changed.occluder),
            detected=self._shown(self._moved(self._labels.detected, row, crop), changed.occluder),
            visible_joints=self._visible(row, crop, changed.occluder),
            joints=self._joints(row, crop),
            gender=None if self._gender is None else torch.tensor(int(self._gender[row])),
            occluded=covered_cells(changed.occluder or Occluder(0, 0, 0, 0), size, cells),
        )

    @classmethod
    def write_people(cls, people: PeopleTable, folder: Path) -> Path:
        """As :class:`nbf_core.contracts.WritesPeople` says."""
        return write_people(people, folder)

    @classmethod
    def find_files(cls, folder: Path) -> Sequence[Path]:
        """The npz files below a folder that hold HumanData, or cannot be looked into."""
        return [path for path in sorted(Path(folder).rglob("*.npz")) if _maybe(path)]

    @classmethod
    def check_file(
        cls, path: Path, images: Path | None = None, pictures: bool = False, step: Step | None = None
    ) -> FileReport:
        """What the file holds and what is wrong with it, sample by sample."""
        return check(path, images, pictures, step)

    @classmethod
    def draw_samples(cls, path: Path, images: Path | None = None, count: int = 12, seed: int = 0) -> np.ndarray:
        """A contact sheet of some samples with their labels."""
        from nbf_datasets.humandata.sheet import draw_sheet

        return draw_sheet(path, images, count, seed)

    @classmethod
    def converters(cls) -> Sequence[ConverterInfo]:
        """The converters of this package."""
        from nbf_datasets.converters.run import infos

        return infos()

    @classmethod
    def convert_files(
        cls,
        name: str,
        source: Path,
        out: Path,
        options: Mapping[str, Any] | None = None,
        replace: bool = False,
        step: Step | None = None,
    ) -> Sequence[Conversion]:
        """HumanData files out of a data set as it is distributed."""
        from nbf_datasets.converters.run import convert

        return convert(name, source, out, options, replace, step)

    def _usable(self, count: int, data) -> np.ndarray:
        """The rows of the file that are samples of this data set."""
        keep = np.ones(count, bool)
        for label in self.config.needs:
            keep &= self._labels.has(label)
        without = count - int(keep.sum())
        measured = self.config.split == "val"
        if self.config.augment or measured if self.config.skip is None else self.config.skip:
            wrong = {**{one.sample: one for one in image_problems(data, self.images)}, **self._wrong}
            keep[sorted(wrong)] = False
            if wrong:
                text = f"{len(wrong)} of {count} samples left out (nbf-run data check lists them); the first:"
                _log.warning("%s: %s %s", self._name, text, wrong[min(wrong)])
        if not keep.any():
            needs = f", {without} of which lack {' or '.join(self.config.needs)}" if self.config.needs else ""
            raise ConfigError(f"data: {self._name}: none of its {count} samples can be used{needs}")
        apart = held_out(self._paths.tolist(), self.config.held_out, self.config.seed)
        rows = np.flatnonzero(keep & (apart if measured else ~apart))
        if not len(rows) and not measured:
            raise ConfigError(f"data: {self._name}: held_out = {self.config.held_out} leaves no sample to train on")
        return rows

    def _image(self, row: int):
        try:
            return read_image(self.images / plain_path(str(self._paths[row])))
        except InputError as error:
            raise InputError(f"{self._name}: sample {row}: image_path: {error}") from error

    def _crop_camera(self, row: int, crop: Crop) -> Camera:
        size = (self.config.image_size,) * 2
        if self._camera is None:
            return Camera.from_field(size, self.config.focal)
        focal = self._camera["focal"][row] * crop.scale
        # Of a turned picture the two could not be told apart; they differ by parts of a percent.
        focal = focal if np.allclose(np.abs(crop.turn), np.eye(3)) else np.full(2, focal.mean())
        return Camera(_tensor(focal), _tensor(crop.points(self._camera["center"][row])), size)

    def _params(self, row: int, crop: Crop, camera: Camera, keypoints: np.ndarray | None) -> BodyParams | None:
        """The body in the crop's camera; None where the file has none, or nothing says where it stands."""
        labels = self._labels
        if labels.pose is None or not labels.with_body[row]:
            return None
        pose = _tensor(crop.pose(labels.pose[row].astype(np.float64), _FLIP_24))
        shapes = labels.betas.shape[1] if self._body is None else self._body.spec.shapes
        betas = torch.zeros(shapes)
        given = labels.betas[row, :shapes]
        betas[: len(given)] = _tensor(given)
        pose = pose if self._body is None else _posed(pose, self._body.spec.joint_names)
        params = BodyParams(pose[0], pose[1:], betas, torch.zeros(3))
        if self._body is None:
            unmoved = labels.transl is not None and np.allclose(crop.turn, np.eye(3))
            return BodyParams(pose[0], pose[1:], betas, _tensor(labels.transl[row])) if unmoved else None
        with torch.inference_mode():
            posed = self._body(params.map(lambda value: value[None]), vertices=False)
            points = self._body.keypoints(posed, "openpose-25")[0].double().numpy()
            root = posed.joints[0, 0].double().numpy()
        if labels.transl is not None:
            # Rotations act about the root: the root is what moves with the camera.
            transl = crop.turn @ (root + labels.transl[row]) - root
        elif keypoints is None:
            return None
        else:
            transl = translation(points, keypoints, camera.focal.numpy(), camera.center.numpy())
        return None if transl is None else BodyParams(pose[0], pose[1:], betas, _tensor(transl))

    def _moved(self, points: np.ndarray | None, row: int, crop: Crop) -> np.ndarray | None:
        return None if points is None else crop.keypoints(points[row].astype(np.float64), _FLIP_25)

    def _shown(self, keypoints: np.ndarray | None, occluder: Occluder | None) -> Tensor | None:
        return None if keypoints is None else _tensor(self._hidden(keypoints, occluder))

    def _hidden(self, keypoints: np.ndarray, occluder: Occluder | None) -> np.ndarray:
        """Confidence 0 for what is outside the crop or behind the occluder."""
        xy = keypoints[:, :2]
        shown = ((xy >= 0) & (xy < self.config.image_size)).all(1)
        if occluder is not None:
            shown &= ~behind(torch.from_numpy(xy), occluder).numpy()
        return np.concatenate([xy, keypoints[:, 2:] * shown[:, None]], 1)

    def _visible(self, row: int, crop: Crop, occluder: Occluder | None) -> Tensor | None:
        labels = self._labels
        if labels.near is None:
            return None
        near = labels.near[row].astype(np.float64)
        near[:, :2] = crop.points(near[:, :2])
        joints = visible_joints(self._hidden(near, occluder), labels.near_known)
        return torch.from_numpy(joints[_FLIP_24] if crop.flip else joints)

    def _joints(self, row: int, crop: Crop) -> Tensor | None:
        if self._labels.joints is None:
            return None
        return _tensor(crop.joints(self._labels.joints[row].astype(np.float64), _FLIP_17))


def _posed(pose: Tensor, names: Sequence[str]) -> Tensor:
    """SMPL's pose [24, 3] for a body of other joints, by name: what SMPL does not have rests."""
    if tuple(names) == SMPL_24:
        return pose
    return torch.stack([pose[SMPL_24.index(name)] if name in SMPL_24 else torch.zeros(3) for name in names])


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32).copy())


def _maybe(path: Path) -> bool:
    try:
        return is_humandata(path)
    except AssetError:
        return True
