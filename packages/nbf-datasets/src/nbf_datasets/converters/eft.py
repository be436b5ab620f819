"""EFT's fits (Joo, Neverova and Vedaldi, 3DV 2021): SMPL bodies for pictures of COCO, MPII and LSPET."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from nbf_core.conventions import convention
from nbf_core.errors import AssetError
from nbf_datasets.converters.boxes import square
from nbf_datasets.converters.poses import Body, from_matrices
from nbf_datasets.converters.rows import Rows, Step
from nbf_datasets.converters.source import BadSample, entry, find_file, of_sample, read_json

SIDE = 200.0
"""Pixels that a scale of 1 stands for."""

_AT_ONCE = 500
_WILD = 2.0  # an entry of a rotation is 1 at most


def convert(
    source: Path, fits: Path, image_of: Callable[[str], str], rows: Rows, step: Step,
    keypoints: Mapping[int, np.ndarray] | None = None,
) -> None:  # fmt: skip
    """The people of a file of fits; ``image_of`` gives the path of an image by its name.

    Keypoints are those in the file where it has them, otherwise those of ``keypoints``, [49, 3] by the annotation's
    number.
    """
    rows.joints("keypoints2d", convention("smpl_49").joints)
    path = find_file(source, fits)
    people = entry(read_json(path), "data", path)
    if not isinstance(people, list):
        raise AssetError(f"{path}: data: expected a list of people")
    for first in range(0, len(people), _AT_ONCE):
        found = []
        for person in people[first : first + _AT_ONCE]:
            try:
                found.append(_person(person, image_of, keypoints or {}))
            except BadSample as error:
                rows.skip(str(error))
        if found:
            images, boxes, points, rotations, betas = zip(*found, strict=True)
            body = Body(from_matrices(np.stack(rotations)), np.stack(betas))
            rows.add(images, np.concatenate(boxes), {"keypoints2d": np.stack(points)}, body)
        step("people", min(first + _AT_ONCE, len(people)), len(people))


def _person(person: Mapping, image_of: Callable[[str], str], keypoints: Mapping[int, np.ndarray]) -> tuple:
    """Image, box [1, 4], keypoints [49, 3], rotations [24, 3, 3] and shape [10] of one person."""
    rotations = of_sample(person, "parm_pose", 216).reshape(24, 3, 3)
    if not (np.abs(rotations) < _WILD).all():
        raise BadSample("parm_pose holds no rotations")
    name = person.get("imageName")
    if not isinstance(name, str) or not name:
        raise BadSample("imageName is missing")
    if person.get("gt_keypoint_2d") is not None:
        points = of_sample(person, "gt_keypoint_2d", 147).reshape(49, 3).copy()
        points[:, 2] = points[:, 2] > 0
    else:
        number = person.get("annotId")
        if not isinstance(number, int) or number not in keypoints:
            raise BadSample("no keypoints: neither gt_keypoint_2d nor an annotation of that annotId")
        points = keypoints[number]
    box = square(of_sample(person, "bbox_center", 2)[None], SIDE * of_sample(person, "bbox_scale", 1))
    return image_of(name), box, points, rotations, of_sample(person, "parm_shape", 10)
