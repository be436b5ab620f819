"""What is done to a base sample each time it is asked for: turns, scales, colours, occluders, blur, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from nbf_data_synthetic.rendering import Base
from nbf_data_synthetic.turns import compose
from nbf_datasets.patches import REFERENCE, Patch, texture


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
    """Turned up to 30 degrees (probability .6), scaled by up to .2, mirrored every other time."""
    turned = rng.random() < 0.6
    angle = np.clip(rng.standard_normal() * 13.0, -30, 30) if turned else 0.0
    return Similarity(float(np.deg2rad(angle)), 0.84 + 0.34 * rng.random(), bool(rng.random() < 0.5))


@njit(cache=True, nogil=True)
def _resample(source, tables, inverse, out):
    """Bilinear sampling with mirrored borders, through a colour table per channel, into float32 [3, h, w]."""
    size = source.shape[1]
    middle = size / 2
    for i in range(size):
        for j in range(size):
            qx, qy = j + 0.5 - middle, i + 0.5 - middle
            x = abs(inverse[0, 0] * qx + inverse[0, 1] * qy + middle - 0.5)
            y = abs(inverse[1, 0] * qx + inverse[1, 1] * qy + middle - 0.5)
            x = x if x <= size - 1 else max(2.0 * (size - 1) - x, 0.0)
            y = y if y <= size - 1 else max(2.0 * (size - 1) - y, 0.0)
            x0, y0 = int(x), int(y)
            x1, y1 = min(x0 + 1, size - 1), min(y0 + 1, size - 1)
            u, v = np.float32(x - x0), np.float32(y - y0)
            one = np.float32(1.0)
            for c in range(3):
                t = tables[c]
                top = t[source[c, y0, x0]] * (one - u) + t[source[c, y0, x1]] * u
                low = t[source[c, y1, x0]] * (one - u) + t[source[c, y1, x1]] * u
                out[c, i, j] = top * (one - v) + low * v


@njit(cache=True, nogil=True)
def _recolour(source, tables, out):
    for c in range(3):
        t = tables[c]
        for i in range(source.shape[1]):
            for j in range(source.shape[2]):
                out[c, i, j] = t[source[c, i, j]]


def resampled(image: np.ndarray, change: Similarity | None, tables: np.ndarray) -> np.ndarray:
    """The image uint8 [3, h, h] seen through ``change`` and colour tables [3, 256], float32 [3, h, h]."""
    out = np.empty(image.shape, np.float32)
    if change is None or change == Similarity():
        _recolour(image, tables, out)
    else:
        _resample(image, tables, np.linalg.inv(change.matrix), out)
    return out


@njit(cache=True, nogil=True)
def _resample_labels(source, inverse, out):
    size = len(source)
    middle = size / 2
    for i in range(size):
        for j in range(size):
            qx, qy = j + 0.5 - middle, i + 0.5 - middle
            x = int(np.floor(inverse[0, 0] * qx + inverse[0, 1] * qy + middle))
            y = int(np.floor(inverse[1, 0] * qx + inverse[1, 1] * qy + middle))
            out[i, j] = source[y, x] if 0 <= x < size and 0 <= y < size else -1


def moved(base: Base, change: Similarity, root: np.ndarray, joint_mirror, keypoint_mirror, kernel_mirror) -> Base:
    """The labels of ``base`` seen through ``change``; the image is left as it is.

    ``root`` [3] is the root joint of the unposed body. A body seen by a camera that rolls turns about the
    optical axis; its translation follows because rotations act about the root.
    """
    image_size = base.image.shape[1]
    kernel_map = np.empty_like(base.kernel_map)
    _resample_labels(base.kernel_map, np.linalg.inv(change.matrix), kernel_map)
    pose, transl = base.pose.astype(np.float64), base.transl.astype(np.float64)
    keypoints, joints = base.keypoints, base.joints
    root = root.astype(np.float64)
    if change.flip:
        flip = np.array([-1.0, 1, 1])
        pose = pose[joint_mirror] * -flip  # a mirrored rotation keeps x of its axis and turns y and z round
        transl = (root + transl) * flip - root
        keypoints, joints = keypoints[keypoint_mirror], joints[joint_mirror]
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
    )


def colour_tables(rng: np.random.Generator) -> np.ndarray:
    """Random gain per channel (up to .4), gamma, contrast and brightness as tables float32 [3, 256]."""
    u = rng.random
    gain = 1 + 0.4 * (2 * rng.random(3) - 1) * (1.0 if u() < 0.5 else 0.3)
    gamma, contrast, offset = 2.0 ** (1.2 * (u() - 0.5)), 0.7 + 0.6 * u(), 0.2 * (u() - 0.5)
    levels = (np.arange(256) / 255.0) ** gamma
    levels = (levels - 0.5) * contrast + 0.5 + offset
    if u() < 0.06:
        gain = np.full(3, gain[0])
    return np.clip(levels * gain[:, None] * 255.0, 0, 255).astype(np.float32)


IDENTITY_TABLES = np.tile(np.arange(256, dtype=np.float32), (3, 1))


@njit(cache=True, nogil=True)
def _soften(image):
    """One pass of the binomial filter (1 2 1) / 4 both ways, in place, borders repeated."""
    channels, height, width = image.shape
    quarter, half = np.float32(0.25), np.float32(0.5)
    for c in range(channels):
        for i in range(height):
            left = image[c, i, 0]
            for j in range(width):
                here = image[c, i, j]
                right = image[c, i, min(j + 1, width - 1)]
                image[c, i, j] = quarter * (left + right) + half * here
                left = here
        above = image[c, 0].copy()
        for i in range(height):
            below = min(i + 1, height - 1)
            for j in range(width):
                here = image[c, i, j]
                image[c, i, j] = quarter * (above[j] + image[c, below, j]) + half * here
                above[j] = here


@njit(cache=True, nogil=True)
def _bell(bits):
    """The sum of four bytes less its mean: nearly normal, standard deviation 147.8."""
    byte = np.uint64(255)
    total = (bits & byte) + ((bits >> np.uint64(8)) & byte)
    total += ((bits >> np.uint64(16)) & byte) + ((bits >> np.uint64(24)) & byte)
    return np.float32(np.int64(total) - 510)


@njit(cache=True, nogil=True)
def _finish(image, sigma, shared, seed, out):
    """Add noise (each channel's own, and one for all) and round to uint8."""
    state = np.uint64(seed)
    scale = np.float32(sigma / 147.8)
    together = np.float32(shared / 147.8)
    half, low, high = np.float32(0.5), np.float32(0.0), np.float32(255.0)
    quiet = sigma < 0.5 and shared < 0.5
    for i in range(image.shape[1]):
        for j in range(image.shape[2]):
            grey = low
            for k in range(2):
                if not quiet:
                    # Marsaglia's xorshift: exact in integers; one step serves two numbers.
                    state ^= state << np.uint64(13)
                    state ^= state >> np.uint64(7)
                    state ^= state << np.uint64(17)
                first, second = (low, low) if quiet else (_bell(state >> np.uint64(32)), _bell(state))
                if k == 0:
                    grey = first * together
                    out[0, i, j] = int(min(max(image[0, i, j] + second * scale + grey + half, low), high))
                else:
                    out[1, i, j] = int(min(max(image[1, i, j] + first * scale + grey + half, low), high))
                    out[2, i, j] = int(min(max(image[2, i, j] + second * scale + grey + half, low), high))


def finished(image: np.ndarray, blur: int, sigma: float, shared: float, seed: int) -> np.ndarray:
    """float32 [3, h, w] blurred ``blur`` times and with noise of these standard deviations, as uint8."""
    for _ in range(blur):
        _soften(image)
    out = np.empty(image.shape, np.uint8)
    _finish(image, sigma, shared, seed | 1, out)
    return out


def draw_occluders(rng: np.random.Generator, joints: np.ndarray, image_size: int) -> list[tuple[Patch, np.ndarray]]:
    """One to three patches of random size with their pixels: mostly over the person, squares and bars."""
    patches = []
    for _ in range(1 + int(rng.integers(0, 3))):
        size = 12 + 100 * rng.random() ** 1.3
        if rng.random() < 0.7:
            x, y = joints[int(rng.integers(len(joints)))] + (rng.random(2) - 0.5) * size * image_size / REFERENCE
        else:
            x, y = rng.random(2) * image_size
        x, y = np.clip([x, y], 0, image_size)
        patch = Patch.around(float(x), float(y), size, image_size)
        if rng.random() < 0.35:
            patch = _bar(patch, 0.25 + 0.5 * rng.random(), bool(rng.random() < 0.5))
        patches.append((patch, texture(rng, patch.y1 - patch.y0, patch.x1 - patch.x0)))
    return patches


def _bar(patch: Patch, share: float, upright: bool) -> Patch:
    """The patch made narrower (and longer the other way by half as much)."""
    side = patch.x1 - patch.x0
    thin, long = max(round(side * share), 2), round(side * (1.5 - share / 2))
    width, height = (thin, long) if upright else (long, thin)
    return Patch(patch.x0, patch.y0, patch.x0 + width, patch.y0 + height)
