"""A real person in 25 moments, seen by four synchronised, calibrated cameras."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image

from nbf_core.errors import AssetError
from nbf_core.types import Camera, Sample, View
from nbf_data_pose2sim.config import Pose2SimConfig


def data_folder() -> Path:
    """Where the package's pictures and numbers lie."""
    return Path(str(files("nbf_data_pose2sim"))) / "data"


def picture_name(moment: int, camera: int) -> str:
    """The file of a moment in a camera, both counted from 0 (the name counts cameras from 1)."""
    return f"moment{moment:02d}_cam{camera + 1}.jpg"


@dataclass(frozen=True)
class Sequence:
    """Everything known but the pictures: ``m`` moments, ``c`` cameras. Pixels are those of the undistorted frames.

    ``window`` (x0, y0, x1, y1) is the part of the frame that its picture shows; ``detected`` and ``own`` are the
    detector's keypoints in 2D and in 3D, ``box`` and ``score`` its; ``keypoints`` are ``detected`` with sides set
    right and confidence 0 where other views disagree (``swapped``: the sides of face, arms, legs were exchanged);
    ``world`` are the points they agree on.
    """

    frames: np.ndarray  # [m]
    size: np.ndarray  # [c 2]
    focal: np.ndarray  # [c 2]
    center: np.ndarray  # [c 2]
    rotation: np.ndarray  # [c 3 3]
    translation: np.ndarray  # [c 3]
    window: np.ndarray  # [m c 4]
    box: np.ndarray  # [m c 4]
    score: np.ndarray  # [m c]
    detected: np.ndarray  # [m c 25 3]
    own: np.ndarray  # [m c 25 4]
    keypoints: np.ndarray  # [m c 25 3]
    swapped: np.ndarray  # [m c 3]
    world: np.ndarray  # [m 25 4]

    @classmethod
    def read(cls, path: Path) -> Sequence:
        """The arrays of a file. Raises AssetError naming file and array."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})
        except (OSError, KeyError, ValueError) as error:
            raise AssetError(f"{path}: cannot be read: {error}") from error


class FourCameras:
    """The pictures as samples, moment by moment, each cropped around the person.

    ``detected`` is what BlazePose saw in that picture alone, ``keypoints`` what is left of it after a look at the
    other three (``consensus``): no motion capture. ``detected_3d`` are BlazePose's own world landmarks. There is no
    true body: ``params`` and all maps are None.
    """

    def __init__(self, config: Pose2SimConfig | None = None, body: Any = None):
        self.config = config or Pose2SimConfig()
        self._moments = range(0, len(self.sequence.frames), self.config.every)

    @cached_property
    def sequence(self) -> Sequence:
        """The numbers beside the pictures."""
        return Sequence.read(data_folder() / "sequence.npz")

    def __len__(self) -> int:
        return len(self._moments) * len(self.config.cameras)

    def describe(self, index: int) -> str:
        """A sample's moment and camera in words."""
        moment, camera = self._place(index)
        return f"frame {self.sequence.frames[moment]} of camera {camera + 1}"

    def __getitem__(self, index: int) -> Sample:
        """The picture of one moment in one camera. Raises AssetError for a picture that cannot be read."""
        moment, camera = self._place(index)
        known, side = self.sequence, self.config.image_size
        box = self._square(moment, camera)
        scale = side / (box[2:] - box[:2])

        def inside(keypoints: np.ndarray) -> torch.Tensor:
            moved = np.concatenate([(keypoints[:, :2] - box[:2]) * scale, keypoints[:, 2:]], axis=1)
            # A missing keypoint lies in the corner, wherever the crop is.
            return torch.from_numpy((moved * (keypoints[:, 2:] > 0)).astype(np.float32))

        pixels = self._picture(moment, camera, box)
        return Sample(
            image=torch.from_numpy(pixels.transpose(2, 0, 1).copy()),
            camera=Camera(
                focal=torch.from_numpy((known.focal[camera] * scale).astype(np.float32)),
                center=torch.from_numpy(((known.center[camera] - box[:2]) * scale).astype(np.float32)),
                size=(side, side),
            ),
            index=torch.tensor(index),
            keypoints=inside(known.keypoints[moment, camera]),
            detected=inside(known.detected[moment, camera]),
            detected_3d=torch.from_numpy(known.own[moment, camera].copy()),
            view=View(
                rotation=torch.from_numpy(known.rotation[camera].astype(np.float32)),
                translation=torch.from_numpy(known.translation[camera].astype(np.float32)),
                moment=torch.tensor(moment),
                number=torch.tensor(camera + 1),
                keypoints=torch.from_numpy(known.world[moment].copy()),
            ),
        )

    def _place(self, index: int) -> tuple[int, int]:
        """Moment and camera (from 0) of a sample."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        moment, camera = divmod(index, len(self.config.cameras))
        return self._moments[moment], self.config.cameras[camera] - 1

    def _square(self, moment: int, camera: int) -> Float[np.ndarray, "4"]:
        """The crop in pixels of the frame; it may leave the frame."""
        box = self.sequence.box[moment, camera].astype(np.float64)
        middle, half = (box[:2] + box[2:]) / 2, self.config.room * float((box[2:] - box[:2]).max()) / 2
        return np.concatenate([middle - half, middle + half])

    def _picture(self, moment: int, camera: int, box: Float[np.ndarray, "4"]) -> UInt8[np.ndarray, "side side 3"]:
        """The crop's pixels; beyond the frame its edge is repeated."""
        path = data_folder() / "images" / picture_name(moment, camera)
        try:
            with Image.open(path) as image:
                stored = np.asarray(image.convert("RGB"))
        except OSError as error:
            raise AssetError(f"{path}: cannot be read: {error}") from error
        window = self.sequence.window[moment, camera].astype(np.float64)
        per_pixel = np.array([stored.shape[1], stored.shape[0]]) / (window[2:] - window[:2])
        low, high = (box[:2] - window[:2]) * per_pixel, (box[2:] - window[:2]) * per_pixel
        # One pixel more on every side, so that interpolation at the border has neighbours.
        first, last = np.floor(low).astype(int) - 1, np.ceil(high).astype(int) + 1
        columns = np.arange(first[0], last[0]).clip(0, stored.shape[1] - 1)
        rows = np.arange(first[1], last[1]).clip(0, stored.shape[0] - 1)
        part = Image.fromarray(np.ascontiguousarray(stored[rows[:, None], columns[None]]))
        side = self.config.image_size
        inner = tuple(float(v) for v in np.concatenate([low - first, high - first]))
        return np.asarray(part.resize((side, side), Image.Resampling.BILINEAR, box=inner))
