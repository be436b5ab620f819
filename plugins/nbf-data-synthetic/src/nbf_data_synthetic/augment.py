"""What is drawn anew for a base sample each time it is asked for: turns, scales, colours, a camera's faults."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from nbf_data_synthetic import jpeg, pixels
from nbf_data_synthetic.rendering import Base
from nbf_data_synthetic.turns import compose


@dataclass(frozen=True)
class Similarity:
    """A turn (radians, clockwise in the picture), a scale and perhaps a mirror about the middle of the image.

    All are exact for a camera whose principal point is the middle: a roll, a focal length, a mirrored body.
    """

    angle: float = 0.0
    scale: float = 1.0
    flip: bool = False

    @property
    def matrix(self) -> np.ndarray:
        """Pixel offsets from the middle to pixel offsets from the middle, [2, 2]."""
        c, s = np.cos(self.angle) * self.scale, np.sin(self.angle) * self.scale
        return np.array([[c, -s], [s, c]]) @ np.diag([-1.0 if self.flip else 1.0, 1.0])


def draw_similarity(rng: np.random.Generator) -> Similarity:
    """Turned up to 30 degrees (probability .6), scaled by .9 to 1.25, mirrored every other time."""
    turned = rng.random() < 0.6
    angle = np.clip(rng.standard_normal() * 13.0, -30, 30) if turned else 0.0
    return Similarity(float(np.deg2rad(angle)), 0.9 + 0.35 * rng.random() ** 1.2, bool(rng.random() < 0.5))


@njit(cache=True, nogil=True)
def _resample_labels(source, inverse, out):
    size = len(source)
    middle = size / 2
    for i in range(size):
        for j in range(size):
            qx, qy = j + 0.5 - middle, i + 0.5 - middle
            x = int(np.floor(inverse[0, 0] * qx + inverse[0, 1] * qy + middle))
            y = int(np.floor(inverse[1, 0] * qx + inverse[1, 1] * qy + middle))
            out[i, j] = source[y, x] if 0 <= x < size and 0 <= y < size else -2


def moved(base: Base, change: Similarity, root: np.ndarray, joint_mirror, keypoint_mirror, kernel_mirror) -> Base:
    """The labels of ``base`` seen through ``change``; the image is left as it is.

    ``root`` [3] is the root joint of the unposed body. A body seen by a camera that rolls turns about the
    optical axis; its translation follows because rotations act about the root. What lay outside the base picture
    is hidden by the border, like behind an occluder.
    """
    image_size = base.image.shape[1]
    kernel_map = np.empty_like(base.kernel_map)
    _resample_labels(base.kernel_map, np.linalg.inv(change.matrix), kernel_map)
    pose, transl = base.pose.astype(np.float64), base.transl.astype(np.float64)
    keypoints, joints = base.keypoints, base.joints
    free = [
        given & ((points >= 0) & (points < image_size)).all(1)
        for given, points in ((base.keypoints_free, keypoints), (base.joints_free, joints))
    ]
    root = root.astype(np.float64)
    if change.flip:
        flip = np.array([-1.0, 1, 1])
        pose = pose[joint_mirror] * -flip  # a mirrored rotation keeps x of its axis and turns y and z round
        transl = (root + transl) * flip - root
        keypoints, joints = keypoints[keypoint_mirror], joints[joint_mirror]
        free = [free[0][keypoint_mirror], free[1][joint_mirror]]
        on_body = kernel_map >= 0
        kernel_map[on_body] = kernel_mirror[kernel_map[on_body]]
    roll = np.array([0, 0, change.angle])
    pose[0] = compose(roll, pose[0])
    c, s = np.cos(change.angle), np.sin(change.angle)
    transl = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ (root + transl) - root
    middle = image_size / 2
    matrix = change.matrix.T
    return base._replace(
        kernel_map=kernel_map,
        pose=pose.astype(np.float32),
        transl=transl.astype(np.float32),
        focal=np.float32(base.focal * change.scale),
        keypoints=((keypoints - middle) @ matrix + middle).astype(np.float32),
        joints=((joints - middle) @ matrix + middle).astype(np.float32),
        keypoints_free=free[0],
        joints_free=free[1],
    )


def colour_tables(rng: np.random.Generator) -> np.ndarray:
    """Random gain per channel (up to .3), gamma, contrast and brightness as tables uint8 [3, 256]."""
    u = rng.random
    gain = 1 + 0.3 * (2 * rng.random(3) - 1) * (1.0 if u() < 0.35 else 0.3)
    gamma, contrast, offset = 2.0 ** (1.2 * (u() - 0.55)), 0.75 + 0.55 * u(), 0.16 * (u() - 0.45)
    levels = (np.arange(256) / 255.0) ** gamma
    levels = (levels - 0.5) * contrast + 0.5 + offset
    return np.clip(levels * gain[:, None] * 255.0 + 0.5, 0, 255).astype(np.uint8)


def draw_saturation(rng: np.random.Generator) -> float:
    """Colours as they are, weaker or stronger, or none at all."""
    u = rng.random()
    return 1.0 if u < 0.55 else (0.0 if u < 0.61 else 0.3 + 1.2 * rng.random())


def draw_border(rng: np.random.Generator, pictures: np.ndarray) -> np.ndarray:
    """What lies beyond the edge of the picture, uint8 [3, h, h]: black as in a crop, one colour, other pictures."""
    u = rng.random()
    shape = pictures.shape[1:]
    if u < 0.35:
        return np.zeros(shape, np.uint8)
    if u < 0.45:
        return np.broadcast_to(rng.integers(0, 256, (3, 1, 1)).astype(np.uint8), shape)
    return pictures[int(rng.integers(len(pictures)))]


def photographed(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """The picture uint8 [3, h, h] out of focus, shaken, noisy, compressed: each now and then. It may work in place."""
    u = rng.random
    scale = image.shape[1] / 128
    blurred = u()
    if blurred < 0.3:
        pixels.soften(image, 1 + int(rng.integers(0, 1 + int(4 * scale))))
    elif blurred < 0.42:
        angle, length = u() * np.pi, (1 + 3 * u()) * scale
        image = pixels.smear(image, float(np.cos(angle) * length), float(np.sin(angle) * length), 7)
    if u() < 0.75:
        sigma, shared, shot = 14 * u() ** 3, 10 * u() ** 3, 12 * u() ** 3
        pixels.add_noise(image, sigma, shared, int(rng.integers(1 << 62)), shot)
    if u() < 0.4:
        jpeg.compress(image, int(15 + 75 * u()))
    return image
