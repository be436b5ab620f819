"""COCO people (Lin et al., ECCV 2014): ``annotations/person_keypoints_train2014.json`` and ``train2014/*.jpg``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nbf_core.conventions import convention
from nbf_core.errors import AssetError
from nbf_core.geometry.keypoints import convert_keypoints
from nbf_datasets.converters import eft
from nbf_datasets.converters.boxes import grown
from nbf_datasets.converters.config import CocoOptions
from nbf_datasets.converters.rows import Rows, Step
from nbf_datasets.converters.source import BadSample, entry, find_file, of_sample, read_json


def convert(source: Path, options: CocoOptions, rows: Rows, step: Step) -> None:
    """People with at least ``least`` keypoints, crowds apart; or those of a file of EFT's fits.

    A keypoint is known where it was annotated, be it visible or not.
    """
    if options.fits is None:
        _annotated(source, options, rows, step)
        return
    fits = find_file(source, options.fits)
    held = _find(source, options.split)
    # Fits without keypoints of their own name the annotation that they belong to.
    keypoints = _keypoints(read_json(held), held) if held.is_file() else None
    eft.convert(source, fits, lambda name: _image(name, options.split, rows), rows, step, keypoints)


def _annotated(source: Path, options: CocoOptions, rows: Rows, step: Step) -> None:
    rows.joints("keypoints2d", convention("coco").joints)
    path = _find(source, options.split)
    held = read_json(path)
    names = {one.get("id"): one.get("file_name") for one in _entries(held, "images", path)}
    people = _entries(held, "annotations", path)
    for done, person in enumerate(people, 1):
        try:
            _person(person, names, options, rows)
        except BadSample as error:
            rows.skip(str(error))
        if done % 1000 == 0 or done == len(people):
            step("people", done, len(people))


def _person(person: Mapping, names: Mapping, options: CocoOptions, rows: Rows) -> None:
    if person.get("iscrowd"):
        raise BadSample("a crowd")
    points = _points(person)
    if (points[:, 2] > 0).sum() < options.least:
        raise BadSample(f"fewer than {options.least} keypoints")
    name = names.get(person.get("image_id"))
    if not isinstance(name, str):
        raise BadSample("image_id is of no image")
    box = grown(of_sample(person, "bbox", 4)[None])
    rows.add([_image(name, options.split, rows)], box, {"keypoints2d": points[None]})


def _keypoints(held: Mapping, path: Path) -> dict[int, np.ndarray]:
    """Annotated keypoints [49, 3] of SPIN's convention by the annotation's number."""
    found = {}
    for person in _entries(held, "annotations", path):
        try:
            found[person.get("id")] = convert_keypoints(_points(person), "coco", "smpl_49")[0]
        except BadSample:
            continue  # whoever asks for this one is told that it is not there
    return found


def _points(person: Mapping) -> np.ndarray:
    points = of_sample(person, "keypoints", 51).reshape(17, 3).copy()
    points[:, 2] = points[:, 2] > 0
    return points


def _entries(held: Mapping, name: str, path: Path) -> list[Mapping]:
    entries = entry(held, name, path)
    if not isinstance(entries, list) or not all(isinstance(one, Mapping) for one in entries):
        raise AssetError(f"{path}: {name}: expected a list of objects")
    return entries


def _find(source: Path, split: str) -> Path:
    name = f"person_keypoints_{split}.json"
    usual = (source / "annotations" / name, source.parent / "annotations" / name, source / name)
    return next((path for path in usual if path.is_file()), usual[0])


def _image(name: str, split: str, rows: Rows) -> str:
    return rows.images.first(f"{split}/{name}", f"images/{split}/{name}")
