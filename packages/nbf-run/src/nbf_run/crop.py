"""Square crops around people, resampled for the regressor, and their cameras."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image

from nbf_core.types import Camera, Person
from nbf_core.types.tree import stack
from nbf_run.estimate import Crops

FIELD = 1.2
"""Focal length of an unknown camera, in longer sides of the picture: about a phone's (45 degrees)."""


def photo_camera(size: tuple[int, int], focal: float | None = None) -> Camera:
    """The camera of a whole photo of ``size`` (height, width).

    ``focal`` in pixels, a guess where not known.
    """
    return Camera.from_field(size, FIELD * max(size) if focal is None else focal)


def square_box(box: Float[np.ndarray, "4"], scale: float) -> Float[np.ndarray, "4"]:
    """The square (x0, y0, x1, y1) around a box, its side ``scale`` times the box's longer one.

    May leave the photo.
    """
    low, high = np.asarray(box[:2], np.float64), np.asarray(box[2:], np.float64)
    middle = (low + high) / 2
    half = max(scale * float((high - low).max()), 2.0) / 2
    return np.concatenate([middle - half, middle + half])


def resample(
    image: UInt8[np.ndarray, "h w 3"], box: Float[np.ndarray, "4"], side: int
) -> UInt8[np.ndarray, "side side 3"]:
    """The part of a photo inside a square ``box``, resampled to ``side`` pixels without aliasing.

    Outside the photo its edge pixels are repeated: a hard black frame is nothing the regressor has seen.
    """
    height, width = image.shape[:2]
    # One pixel more on every side, so that interpolation at the border has neighbours.
    x0, y0 = np.floor(box[:2]).astype(int) - 1
    x1, y1 = np.ceil(box[2:]).astype(int) + 1
    columns = np.arange(x0, x1).clip(0, width - 1)
    rows = np.arange(y0, y1).clip(0, height - 1)
    part = Image.fromarray(np.ascontiguousarray(image[rows[:, None], columns[None]]))
    inner = tuple(float(v) for v in (box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0))
    return np.array(part.resize((side, side), Image.Resampling.BILINEAR, box=inner))


def keypoints_in(
    box: Float[np.ndarray, "4"], keypoints: Float[np.ndarray, "n 3"], side: int
) -> Float[np.ndarray, "n 3"]:
    """Keypoints (x, y, confidence) of the photo in pixels of the crop ``box`` of ``side`` pixels."""
    scale = side / (box[2:] - box[:2])
    return np.concatenate([(keypoints[:, :2] - box[:2]) * scale, keypoints[:, 2:]], axis=1)


def crop_boxes(
    image: UInt8[np.ndarray, "h w 3"],
    camera: Camera,
    people: Sequence[Person],
    boxes: Float[np.ndarray, "b 4"],
    side: int,
) -> Crops:
    """Crops of ``side`` pixels of all people of a photo, one square box each."""
    pictures = np.stack([resample(image, box, side) for box in boxes])
    keypoints = [keypoints_in(box, p.keypoints, side) for box, p in zip(boxes, people, strict=True)]
    cameras = [camera.cropped(torch.tensor(box, dtype=camera.focal.dtype), (side, side)) for box in boxes]
    return Crops(
        images=torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous(),
        camera=stack(cameras),
        keypoints=torch.tensor(np.stack(keypoints), dtype=torch.float32),
        keypoint_set=people[0].keypoint_set,
    )
