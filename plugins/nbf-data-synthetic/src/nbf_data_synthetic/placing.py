"""Who stands where: pose, shape, view and place in the crop."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
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


def draw_person(rng: np.random.Generator, split: str, shapes: int) -> tuple[np.ndarray, np.ndarray]:
    """A pose of the split [24, 3], turned to a random view in OpenCV camera axes, and its shape [shapes]."""
    poses = load_poses(split)
    pose = poses[int(rng.integers(len(poses)))].copy()
    if split == "train":
        pose[1:] += rng.standard_normal((23, 3)) * 0.04
    yaw = rng.random() * 360.0
    steep = rng.random() < 0.15
    pitch = float(np.clip(rng.standard_normal() * (30.0 if steep else 12.0), -80, 80))
    roll = float(np.clip(rng.standard_normal() * 8.0, -30, 30))
    # About the vertical; then from y up to y down, with the camera's pitch; then its roll.
    for turn in (about(1, yaw), about(0, 180.0 + pitch), about(2, roll)):
        pose[0] = compose(turn, pose[0])
    betas = np.clip(rng.standard_normal(shapes), -2.5, 2.5)
    return pose.astype(np.float32), betas.astype(np.float32)


def draw_place(rng: np.random.Generator, vertices: np.ndarray, image_size: int) -> tuple[float, np.ndarray]:
    """Focal length (pixels) and translation [3] that put a body into a crop as a detector would.

    ``vertices`` [V, 3] are the posed body at the origin. The larger side of the box takes .65 to .95 of the
    crop; one crop in eight cuts the body.
    """
    focal = image_size * 1.5 * (8 / 1.5) ** rng.random()
    share = 0.65 + 0.3 * rng.random()
    slack = 1.0 - share
    shift = (rng.random(2) - 0.5) * slack
    if rng.random() < 0.125:
        share = 0.95 + 0.7 * rng.random()
        shift = (rng.random(2) - 0.5) * np.array([0.4, 0.7]) * share
    place = np.array([0.0, 0.0, 1.7 * focal / (share * image_size)])
    _fit_box(vertices, focal, share * image_size, shift * image_size, place)
    return float(np.float32(focal)), place.astype(np.float32)


@njit(cache=True, nogil=True)
def _fit_box(points, focal, side, middle, place):
    """Move ``place`` [3] until the projected box has its larger side and its middle as asked."""
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
