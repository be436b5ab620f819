"""Square crops out of images, turned and mirrored perhaps, with everything that is known in them moved along.

Pixel coordinates have their origin at the outer corner of the first pixel, whose centre is at (0.5, 0.5). The
published transform puts it at that pixel's centre; ``shifted`` turns the one into the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, cos, floor, radians, sin

import numpy as np
from PIL import Image

_AXIS_MIRROR = np.array([1.0, -1.0, -1.0])  # a mirrored rotation keeps x of its axis and turns y and z round


@dataclass(frozen=True)
class Crop:
    """From an image to its crop of ``size`` x ``size`` pixels.

    ``matrix`` [2, 3] takes pixels of the image to pixels of the crop; ``turn`` [3, 3] takes directions in the axes of
    the image's camera to those of the crop's (with a mirror in it where ``flip``). ``scale``: crop pixels a pixel.
    """

    matrix: np.ndarray
    turn: np.ndarray
    scale: float
    flip: bool
    size: int

    @classmethod
    def around(cls, center: np.ndarray, side: float, size: int, degrees: float = 0.0, flip: bool = False) -> Crop:
        """The square of ``side`` pixels with its middle at ``center``, mirrored first, its content then turned.

        As published: the picture is turned anticlockwise by ``degrees``, bodies with it.
        """
        scale = size / side
        c, s = cos(radians(degrees)), sin(radians(degrees))
        mirror = np.diag([-1.0 if flip else 1.0, 1.0])
        plane = np.array([[c, s], [-s, c]]) @ mirror
        turn = np.eye(3)
        turn[:2, :2] = plane
        shift = size / 2 - scale * plane @ center
        return cls(np.concatenate([scale * plane, shift[:, None]], 1), turn, scale, flip, size)

    def points(self, points: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] of the image as pixels of the crop."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]

    def keypoints(self, keypoints: np.ndarray, mirror: np.ndarray) -> np.ndarray:
        """Keypoints [n, 3], ``mirror`` being their permutation; those without confidence stay as they are."""
        keypoints = keypoints[mirror] if self.flip else keypoints
        moved = np.concatenate([self.points(keypoints[:, :2]), keypoints[:, 2:]], 1)
        return np.where(keypoints[:, 2:] > 0, moved, keypoints)

    def joints(self, joints: np.ndarray, mirror: np.ndarray) -> np.ndarray:
        """3D keypoints [n, 3 or more] in the crop's axes; further numbers go along."""
        joints = joints[mirror] if self.flip else joints
        return np.concatenate([joints[:, :3] @ self.turn.T, joints[:, 3:]], 1)

    def pose(self, pose: np.ndarray, mirror: np.ndarray) -> np.ndarray:
        """Axis-angles [1 + joints, 3], global orientation first; ``mirror`` is the permutation of all of them."""
        if self.flip:
            pose = pose[mirror] * _AXIS_MIRROR
        rolled = self.turn @ np.diag([-1.0, 1.0, 1.0]) if self.flip else self.turn
        return np.concatenate([_turned(rolled, pose[0])[None], pose[1:]])

    def shifted(self, by: float) -> Crop:
        """The same crop for coordinates that are smaller by ``by`` pixels on both sides, before and after."""
        shift = self.matrix[:, 2] + self.matrix[:, :2].sum(1) * by - by
        return Crop(
            np.concatenate([self.matrix[:, :2], shift[:, None]], 1), self.turn, self.scale, self.flip, self.size
        )

    def cut(
        self, image: Image.Image, background: np.ndarray | None = None, gain: np.ndarray | None = None
    ) -> np.ndarray:
        """The crop uint8 [size, size, 3] of an RGB image, bilinear, without smoothing where it is made smaller.

        ``gain`` [3] multiplies the image's colours. Beyond its edge there is ``background`` [size, size, 3], or black.
        """
        part, corner = self._needed(image)
        inverse = np.linalg.inv(np.concatenate([self.matrix, [[0.0, 0.0, 1.0]]]))[:2]
        inverse[:, 2] -= corner
        # In Pillow's premultiplied mode the border fades out with its colours, which keeps the picture's edge clean.
        mode = "RGB" if background is None else "RGBa"
        if mode == "RGBa":
            part = part.convert("RGBA")
            part.putalpha(_inside(image, corner, part.size))
            part = part.convert("RGBa")
        out = part.transform(
            (self.size, self.size), Image.Transform.AFFINE, tuple(inverse.ravel()), Image.Resampling.BILINEAR
        )
        pixels = np.array(out)
        if gain is not None:
            scaled = pixels[..., :3] * gain.astype(np.float32)
            limit = 255 if background is None else pixels[..., 3:]
            pixels[..., :3] = np.minimum(scaled + 0.5, limit)
        if background is None:
            return pixels
        clear = 255 - pixels[..., 3:].astype(np.uint16)
        return (pixels[..., :3] + (background * clear + 127) // 255).astype(np.uint8)

    def _needed(self, image: Image.Image) -> tuple[Image.Image, np.ndarray]:
        """The part of the image that is seen in the crop, with a black border where it ends, and its corner."""
        inverse = np.linalg.inv(np.concatenate([self.matrix, [[0.0, 0.0, 1.0]]]))[:2]
        ends = np.array([[0, 0, 1], [0, self.size, 1], [self.size, 0, 1], [self.size, self.size, 1]]) @ inverse.T
        box = []
        for axis, length in enumerate(image.size):
            low, high = floor(ends[:, axis].min()) - 2, ceil(ends[:, axis].max()) + 2
            # Never more than the image and its border, however far the crop reaches.
            low = min(max(low, -2), length)
            box.append((low, max(low + 1, min(high, length + 2))))
        (x0, x1), (y0, y1) = box
        return image.crop((x0, y0, x1, y1)), np.array([x0, y0], dtype=np.float64)


def side_of(box: np.ndarray, room: float = 1.0) -> float:
    """The side of the square crop of a box (x, y, width, height): its longer side, times ``room``."""
    return float(max(box[2], box[3])) * room


def center_of(box: np.ndarray) -> np.ndarray:
    """The middle of a box."""
    return np.array([box[0] + box[2] / 2, box[1] + box[3] / 2], dtype=np.float64)


def _inside(image: Image.Image, corner: np.ndarray, size: tuple[int, int]) -> Image.Image:
    x, y = int(corner[0]), int(corner[1])
    return Image.new("L", image.size, 255).crop((x, y, x + size[0], y + size[1]))


def _turned(rotation: np.ndarray, axis_angle: np.ndarray) -> np.ndarray:
    """The axis-angle of ``rotation`` after that of ``axis_angle``, by quaternions: exact near half turns too."""
    first, second = _quaternion_of_matrix(rotation), _quaternion(axis_angle)
    w = first[0] * second[0] - first[1:] @ second[1:]
    xyz = first[0] * second[1:] + second[0] * first[1:] + np.cross(first[1:], second[1:])
    if w < 0:
        w, xyz = -w, -xyz
    length = np.linalg.norm(xyz)
    if length < 1e-12:
        return 2 * xyz
    return xyz / length * 2 * np.arctan2(length, w)


def _quaternion(axis_angle: np.ndarray) -> np.ndarray:
    angle = np.linalg.norm(axis_angle)
    axis = axis_angle / angle if angle > 1e-12 else axis_angle
    return np.array([cos(angle / 2), *(sin(angle / 2) * axis if angle > 1e-12 else axis / 2)])


def _quaternion_of_matrix(roll: np.ndarray) -> np.ndarray:
    """Of a rotation about the optical axis."""
    half = np.arctan2(roll[1, 0], roll[0, 0]) / 2
    return np.array([cos(half), 0.0, 0.0, sin(half)])
