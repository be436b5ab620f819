"""MPII Human Pose (Andriluka et al., CVPR 2014): ``mpii_human_pose_v1_u12_1.mat`` or a JSON release, and ``images``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nbf_core.conventions import convention
from nbf_core.errors import AssetError
from nbf_datasets.converters import eft
from nbf_datasets.converters.boxes import square
from nbf_datasets.converters.config import MpiiOptions
from nbf_datasets.converters.rows import Rows, Step
from nbf_datasets.converters.source import BadSample, entry, find_file, of_sample, read_json, read_mat

USUAL = (
    "mpii_human_pose_v1_u12_1.mat",
    "mpii_human_pose_v1_u12_2/mpii_human_pose_v1_u12_1.mat",
    "annot/train.json",
    "annotations/mpii_train.json",
)
LEAST = 6
"""Joints that must be annotated."""

# The annotated scale and place are those of the torso; with these changes the box holds the whole person, as is usual.
DOWN, LARGER = 15.0, 1.25


def convert(source: Path, options: MpiiOptions, rows: Rows, step: Step) -> None:
    """People of the training images with joints enough; or those of a file of EFT's fits.

    A joint is known where it was annotated, be it visible or not.
    """
    if options.fits is not None:
        eft.convert(source, options.fits, lambda name: _image(name, rows), rows, step)
        return
    rows.joints("keypoints2d", convention("mpii").joints)
    path = find_file(source, options.annotations, *USUAL)
    people = list((_of_mat if path.suffix == ".mat" else _of_json)(path))
    for done, (name, person) in enumerate(people, 1):
        try:
            points = person()
            if (points["joints"][:, 2] > 0).sum() < LEAST:
                raise BadSample(f"fewer than {LEAST} joints")
            scale = points["scale"]
            center = points["center"] + [0, DOWN * scale]
            box = square(center[None], np.array([eft.SIDE * LARGER * scale]))
            rows.add([_image(name, rows)], box, {"keypoints2d": points["joints"][None]})
        except BadSample as error:
            rows.skip(str(error))
        if done % 1000 == 0 or done == len(people):
            step("people", done, len(people))


def _image(name: str, rows: Rows) -> str:
    return rows.images.first(f"images/{name}", name)


def _of_json(path: Path) -> Iterator[tuple[str, Any]]:
    people = read_json(path)
    if not isinstance(people, list) or not all(isinstance(one, dict) for one in people):
        raise AssetError(f"{path}: expected a list of people")
    for person in people:
        yield str(person.get("image", "")), lambda person=person: _json_person(person)


def _json_person(person: dict) -> dict:
    known = of_sample(person, "joints_vis", 16) > 0
    joints = np.concatenate([of_sample(person, "joints", 32).reshape(16, 2), known[:, None]], 1)
    return {"joints": joints, "center": of_sample(person, "center", 2), "scale": of_sample(person, "scale", 1)[0]}


def _of_mat(path: Path) -> Iterator[tuple[str, Any]]:
    """People of training images as (image, function that reads one)."""
    release = _one(entry(read_mat(path), "RELEASE", path))
    images, training = (np.ravel(getattr(release, name, [])) for name in ("annolist", "img_train"))
    if not len(images) or len(images) != len(training):
        raise AssetError(f"{path}: RELEASE: annolist has {len(images)} images, img_train {len(training)}")
    for image, used in zip(images, training, strict=True):
        name = _text(getattr(_one(getattr(image, "image", None)), "name", ""))
        if used:
            for person in np.ravel(getattr(image, "annorect", [])):
                yield name, lambda person=person: _mat_person(person)


def _mat_person(person: Any) -> dict:
    points = np.ravel(getattr(_one(getattr(person, "annopoints", None)), "point", []))
    if not len(points):
        raise BadSample("no joints")
    joints = np.zeros((16, 3))
    for point in points:
        row = int(_number(getattr(point, "id", None), "id"))
        if not 0 <= row < 16:
            raise BadSample("id is of no joint")
        joints[row] = [_number(getattr(point, "x", None), "x"), _number(getattr(point, "y", None), "y"), 1]
    middle = _one(getattr(person, "objpos", None))
    center = np.array([_number(getattr(middle, "x", None), "objpos"), _number(getattr(middle, "y", None), "objpos")])
    return {"joints": joints, "center": center, "scale": _number(getattr(person, "scale", None), "scale")}


def _one(value: Any) -> Any:
    """The only entry of an array, as MATLAB keeps everything; None where there is none or there are more."""
    while isinstance(value, np.ndarray):
        if value.size != 1:
            return None
        value = value.reshape(-1)[0]
    return value


def _number(value: Any, name: str) -> float:
    value = _one(value)
    if not isinstance(value, (int, float, np.number)):
        raise BadSample(f"{name} is missing")
    return float(value)


def _text(value: Any) -> str:
    value = _one(value)
    return value if isinstance(value, str) else ""
