"""3DPW (von Marcard et al., ECCV 2018): ``sequenceFiles/SPLIT/*.pkl`` and ``imageFiles/SEQUENCE/image_00000.jpg``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nbf_core.conventions import SMPL_24, convention
from nbf_core.errors import AssetError
from nbf_core.pickles import read_pickle
from nbf_datasets.converters.boxes import around, with_confidence
from nbf_datasets.converters.config import Pw3dOptions
from nbf_datasets.converters.poses import Body, moved, translation, turned
from nbf_datasets.converters.rows import Rows, Step
from nbf_datasets.converters.source import entry, numbers

FOLDERS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}

OCCLUDED = (
    "courtyard_backpack", "courtyard_basketball", "courtyard_bodyScannerMotions", "courtyard_box", "courtyard_golf",
    "courtyard_jacket", "courtyard_laceShoe", "downtown_stairs", "flat_guitar", "flat_packBags", "outdoors_climbing",
    "outdoors_crosscountry", "outdoors_fencing", "outdoors_freestyle", "outdoors_golf", "outdoors_parcours",
    "outdoors_slalom",
)  # fmt: skip
"""3DPW-OCC: sequences of all splits by their names without the number (Zhang, Huang and Wang, CVPR 2020)."""


def convert(source: Path, options: Pw3dOptions, rows: Rows, step: Step) -> None:
    """All people in the frames whose number is divisible by ``every`` and whose camera is known.

    Keypoints are the detections that come with the data set, joints and bodies its reference, moved into the camera.
    """
    rows.joints("keypoints2d", convention("pw3d").joints)
    rows.joints("keypoints3d", convention("smpl").joints)
    files = _files(source, options.split)
    for done, path in enumerate(files, 1):
        with rows.part():
            _sequence(path, options.every, rows)
        step("sequences", done, len(files))


def _files(source: Path, split: str) -> list[Path]:
    wanted = FOLDERS if split in ("occ", "all") else {split: FOLDERS[split]}
    found = [
        path
        for folders in wanted.values()
        for folder in folders
        for path in sorted((source / "sequenceFiles" / folder).glob("*.pkl"))
        if split != "occ" or path.stem.rpartition("_")[0] in OCCLUDED
    ]
    if not found:
        raise AssetError(f"{source / 'sequenceFiles'}: no sequence of the split {split} (SPLIT/NAME.pkl)")
    return found


def _sequence(path: Path, every: int, rows: Rows) -> None:
    held = read_pickle(path)
    name = entry(held, "sequence", path)
    if not isinstance(name, str):
        raise AssetError(f"{path}: sequence: expected text")
    world = numbers(entry(held, "cam_poses", path), (-1, 4, 4), path, "cam_poses")
    inner = numbers(entry(held, "cam_intrinsics", path), (3, 3), path, "cam_intrinsics")
    frames = np.arange(0, len(world), every)
    images = np.array([f"imageFiles/{name}/image_{frame:05d}.jpg" for frame in frames])
    people = [_person(held, person, len(world), path) for person in range(len(_list(held, "poses", path)))]
    for person in people:
        seen = {key: value[frames] for key, value in person.items() if key not in ("betas", "gender")}
        valid = seen["valid"] != 0
        rows.skip("camera unknown", int((~valid).sum()))
        rotation, shift = world[frames][valid][:, :3, :3], world[frames][valid][:, :3, 3]
        joints, transl = seen["joints"][valid], seen["transl"][valid]
        points = seen["points"][valid]
        rows.add(
            images[valid].tolist(),
            around(points),
            {"keypoints2d": points, "keypoints3d": with_confidence(moved(rotation, shift, joints))},
            Body(
                turned(rotation, seen["pose"][valid]),
                np.repeat(person["betas"][None], len(points), 0),
                translation(rotation, shift, joints[:, 0], transl),
            ),
            person["gender"],
            (np.diag(inner)[:2], inner[:2, 2]),
        )


def _person(held: Mapping, person: int, frames: int, path: Path) -> dict:
    """Everything about one person of a sequence: arrays of one entry a frame, shape and gender."""

    def get(name: str, *shape: int) -> np.ndarray:
        values = _list(held, name, path)
        if person >= len(values):
            raise AssetError(f"{path}: {name}: {len(values)} people, poses has more")
        return numbers(values[person], shape, path, f"{name}[{person}]")

    shape = get("betas", -1)
    if len(shape) < 10:
        raise AssetError(f"{path}: betas[{person}]: expected 10 numbers, got {len(shape)}")
    genders = _list(held, "genders", path)
    return {
        "pose": get("poses", frames, 72).reshape(frames, len(SMPL_24), 3),
        "transl": get("trans", frames, 3),
        "joints": get("jointPositions", frames, 72).reshape(frames, len(SMPL_24), 3),
        "points": get("poses2d", frames, 3, 18).transpose(0, 2, 1),
        "valid": get("campose_valid", frames),
        "betas": shape[:10],
        "gender": str(genders[person]) if person < len(genders) else "neutral",
    }


def _list(held: Mapping, name: str, path: Path) -> list:
    """A field with one entry a person."""
    value = entry(held, name, path)
    if not isinstance(value, (list, tuple, np.ndarray)) or np.ndim(value) == 0 and isinstance(value, np.ndarray):
        raise AssetError(f"{path}: {name}: expected one entry a person")
    return list(value)
