"""Who stands where: pose, shape, view and place in the crop."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch
from numba import njit

from nbf_core.contracts import BodyModel
from nbf_core.errors import AssetError
from nbf_core.types import BodyParams
from nbf_data_synthetic.turns import about, compose


@cache
def load_poses(split: str) -> np.ndarray:
    """Axis-angle poses [n, 24, 3] float64 of a split; the root's in a world whose y is up."""
    source = files("nbf_data_synthetic") / "data" / "poses.npz"
    try:
        with as_file(source) as path, np.load(path, allow_pickle=False) as stored:
            return stored[split].astype(np.float64)
    except (OSError, ValueError, EOFError, KeyError, BadZipFile) as error:
        raise AssetError(f"pose file {source}, split {split}: {error}") from error


class View(NamedTuple):
    """How the camera is held: turns (axis-angle) from a world with y up to OpenCV's axes, and the world's vertical."""

    turns: tuple[np.ndarray, ...]
    up: np.ndarray


_ARMS = np.array([13, 14, 16, 17, 18, 19, 20, 21, 22, 23])
_LEGS = np.array([1, 2, 4, 5, 7, 8, 10, 11])


def draw_view(rng: np.random.Generator) -> View:
    """A camera that looks slightly up or down, rarely steeply."""
    steep = rng.random() < 0.15
    pitch = float(np.clip(rng.standard_normal() * (30.0 if steep else 12.0), -80, 80))
    roll = float(np.clip(rng.standard_normal() * 8.0, -30, 30))
    p, r = np.deg2rad(pitch), np.deg2rad(roll)
    up = np.array([np.sin(r) * np.cos(p), -np.cos(r) * np.cos(p), -np.sin(p)])
    # From y up to y down, with the camera's pitch; then its roll.
    return View((about(0, 180.0 + pitch), about(2, roll)), np.round(up, 9))


def draw_person(rng: np.random.Generator, split: str, shapes: int, view: View) -> tuple[np.ndarray, np.ndarray]:
    """A pose of the split [24, 3], turned about the vertical and seen in ``view``, and its shape [shapes].

    In training one pose in three takes its arms, and one in four its legs, from other poses.
    """
    poses = load_poses(split)
    pose = poses[int(rng.integers(len(poses)))].copy()
    if split == "train":
        for limbs, share in ((_ARMS, 0.33), (_LEGS, 0.25)):
            if rng.random() < share:
                pose[limbs] = poses[int(rng.integers(len(poses)))][limbs]
        pose[1:] += rng.standard_normal((23, 3)) * 0.04
    for turn in (about(1, rng.random() * 360.0), *view.turns):
        pose[0] = compose(turn, pose[0])
    betas = np.clip(rng.standard_normal(shapes), -2.5, 2.5)
    return pose.astype(np.float32), betas.astype(np.float32)


def draw_place(rng: np.random.Generator, split: str, vertices: np.ndarray, image_size: int) -> tuple[float, np.ndarray]:
    """Focal length (pixels) and translation [3] that put a body into a crop as a detector would.

    ``vertices`` [V, 3] are the posed body at the origin. The larger side of the box takes .65 to .95 of the
    crop, a little less in training, which enlarges more than it shrinks; one crop in eight cuts the body.
    """
    focal = image_size * 1.5 * (8 / 1.5) ** rng.random()
    share = (0.6 if split == "train" else 0.65) + 0.3 * rng.random()
    slack = 1.0 - share
    shift = (rng.random(2) - 0.5) * slack
    if rng.random() < 0.125:
        share = 0.95 + 0.7 * rng.random()
        shift = (rng.random(2) - 0.5) * np.array([0.4, 0.7]) * share
    place = np.array([0.0, 0.0, 1.7 * focal / (share * image_size)])
    fit_box(vertices, focal, share * image_size, shift * image_size, place)
    return float(np.float32(focal)), place.astype(np.float32)


@njit(cache=True, nogil=True)
def fit_box(points, focal, side, middle, place):
    """Move ``place`` [3] until the projected box of ``points`` [n, 3] has its larger side and its middle as asked."""
    for _ in range(5):
        x0, x1, y0, y1, nearest = 1e9, -1e9, 1e9, -1e9, 1e9
        for i in range(0, len(points), 3):
            z = max(points[i, 2] + place[2], 0.1)
            x, y = (points[i, 0] + place[0]) / z * focal, (points[i, 1] + place[1]) / z * focal
            x0, x1, y0, y1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y)
            nearest = min(nearest, points[i, 2])
        # Nothing may come nearer to the camera than half a metre.
        place[2] = max(place[2] * max(x1 - x0, y1 - y0) / side, 0.5 - nearest)
        place[0] += (middle[0] - (x0 + x1) / 2) * place[2] / focal
        place[1] += (middle[1] - (y0 + y1) / 2) * place[2] / focal


def pose_body(body: BodyModel, pose: np.ndarray, betas: np.ndarray):
    """A double-precision body at the origin: vertices [V, 3], joints [24, 3], OpenPose-25 [25, 3]."""
    one = torch.from_numpy(pose.astype(np.float64))
    params = BodyParams(
        global_orient=one[0],
        body_pose=one[1:],
        betas=torch.from_numpy(betas.astype(np.float64)),
        transl=torch.zeros(3, dtype=torch.float64),
    )
    with torch.no_grad():
        output = body(params)
        keypoints = body.keypoints(output, "openpose-25")
    return output.vertices.numpy(), output.joints.numpy(), keypoints.numpy()
