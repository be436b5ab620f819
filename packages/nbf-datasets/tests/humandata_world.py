"""A miniature of the published tree: pictures of coloured people of 25 points, and their HumanData files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import roma
import torch
from PIL import Image

from nbf_core.conventions import OPENPOSE_25, SMPL_24, mirror_permutation
from nbf_core.types import BodyOutput, BodyParams, Camera
from nbf_datasets.humandata.data import HumanData, make
from nbf_datasets.humandata.writing import write_humandata

COUNT, WIDTH, HEIGHT = 6, 120, 90


class RigidBody:
    """A body without joints: 25 points that turn about the root, which moves with the first shape number."""

    def __init__(self):
        rng = np.random.default_rng(5)
        rest = rng.uniform(-0.5, 0.5, (len(OPENPOSE_25), 3)) * [0.6, 1.7, 0.3]
        rest = (rest + rest[list(mirror_permutation(OPENPOSE_25))] * [-1, 1, 1]) / 2  # left and right alike
        self.rest = torch.tensor(rest, dtype=torch.float32)
        self.spec = SimpleNamespace(shapes=10, keypoint_weights={"openpose-25": None}, joint_names=SMPL_24)

    def to(self, *_args, **_kwargs):
        return self

    def __call__(self, params: BodyParams, vertices: bool = True) -> BodyOutput:
        root = params.betas.new_tensor([0.0, -0.2, 0.01]) * (1 + 0.1 * params.betas[..., :1])
        turn = roma.rotvec_to_rotmat(params.global_orient)
        place = root + params.transl
        points = (self.rest - root[..., None, :]) @ turn.mT + place[..., None, :]
        joints = place[..., None, :].expand(*place.shape[:-1], len(SMPL_24), 3)
        return BodyOutput(joints=joints, markers=points, kernels=points)

    forward = __call__

    def keypoints(self, output: BodyOutput, name: str) -> torch.Tensor:
        assert name == "openpose-25"
        return output.markers


def people(seed: int = 0, with_camera: bool = True) -> tuple[HumanData, list[np.ndarray]]:
    """Labels and pictures: each keypoint is a small blot in the picture, in the middle of a grey person."""
    rng, body = np.random.default_rng(seed), RigidBody()
    orient, transl = rng.normal(size=(COUNT, 3)) * 0.7, np.tile([0.1, 0.0, 6.0], (COUNT, 1))
    betas = rng.normal(size=(COUNT, 10))
    params = BodyParams(
        *(torch.tensor(v, dtype=torch.float32) for v in (orient, np.zeros((COUNT, 23, 3)), betas, transl))
    )
    focal, center = np.full((COUNT, 2), 150.0), np.tile([61.0, 44.0], (COUNT, 1))
    camera = Camera(torch.tensor(focal), torch.tensor(center), (HEIGHT, WIDTH)).to(dtype=torch.float32)
    output = body(params)
    pixels = camera.project(output.markers).numpy().astype(np.float64)
    pictures = [_picture(points) for points in pixels]
    low, high = pixels.min(1) - 4, pixels.max(1) + 4
    smpl = {"global_orient": orient, "body_pose": rng.normal(size=(COUNT, 23, 3)) * 0.1, "betas": betas}
    if with_camera:
        smpl["transl"] = transl
    rows = np.concatenate([output.markers.numpy()[:, :17], np.ones((COUNT, 17, 1))], 2)
    data = make(
        [f"part{i % 2}/{i}.png" for i in range(COUNT)],
        np.concatenate([low, high - low], 1),
        {
            "keypoints2d": (np.concatenate([pixels, np.ones((COUNT, 25, 1))], 2), "openpose_25"),
            "keypoints3d": (rows, "h36m"),
        },
        gender=["m", "f", "neutral"] * 2,
        smpl={key: value.astype(np.float32) for key, value in smpl.items()},
        camera={"focal": focal, "center": center} if with_camera else None,
        config="tiny",
    )
    return data, pictures


def tree(root: Path, **options) -> Path:
    """The published layout below ``root``; the path of the labels."""
    data, pictures = people(**options)
    for text, picture in zip(data.image_path, pictures, strict=True):
        path = root / "data" / "datasets" / "tiny" / text
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return write_humandata(data, root / "data" / "preprocessed_datasets" / "tiny_train.npz")


def published(path: Path, data: HumanData, compressed: bool = False, **changes) -> Path:
    """The same labels written as MMHuman3D writes them: dictionaries and lists become pickles."""
    fields = {
        "__key_strict__": False,
        "__data_len__": len(data),
        "__keypoints_compressed__": compressed,
        "image_path": data.image_path.tolist(),
        "bbox_xywh": data.boxes,
        "config": data.config,
        "smpl": dict(data.smpl or {}),
        "meta": {"gender": np.array(["m", "f", "n"] * (len(data) // 3))},
        "misc": {"note": "any"},
    }
    for name, points in data.keypoints.items():
        fields[name] = points.values() if compressed else points.full()
        fields[f"{name}_mask"] = points.mask()
    fields |= changes
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **{key: value for key, value in fields.items() if value is not None})
    return path


def _picture(points: np.ndarray) -> np.ndarray:
    picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    for number, (x, y) in enumerate(points):
        rows, columns = slice(max(int(y) - 1, 0), int(y) + 2), slice(max(int(x) - 1, 0), int(x) + 2)
        picture[rows, columns] = (255, number * 10, 255 - number * 10)
    return picture
