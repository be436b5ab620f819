"""3DOH50K (Zhang, Huang and Wang, CVPR 2020): ``trainset`` and ``testset`` with ``annots.json`` and ``images``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nbf_core.conventions import convention
from nbf_core.errors import AssetError
from nbf_datasets.converters.boxes import grown, with_confidence
from nbf_datasets.converters.config import Oh50kOptions
from nbf_datasets.converters.poses import Body, moved, translation, turned
from nbf_datasets.converters.rows import Rows, Step
from nbf_datasets.converters.source import BadSample, of_sample, read_json

FOLDERS = {"train": ("trainset", "3DOH50K-train", "train"), "test": ("testset", "3DOH50K-test", "test")}

_SMPL = convention("smpl").joints
# Of the keypoints in Leeds Sports Pose's sense those that SMPL's joints do not stand for.
_LSP = {name: row for row, name in enumerate(convention("lsp").joints) if name not in _SMPL}


def convert(source: Path, options: Oh50kOptions, rows: Rows, step: Step) -> None:
    """One person an image. Joints and body are moved into the camera; where they then do not project onto the 2D joints
    within ``apart`` pixels (median), the sample is left out."""
    rows.joints("keypoints2d", (*_SMPL, *_LSP))
    rows.joints("keypoints3d", _SMPL)
    folder = next((one for one in FOLDERS[options.split] if (source / one).is_dir()), FOLDERS[options.split][0])
    path = source / folder / "annots.json"
    table = read_json(path)
    if not isinstance(table, Mapping):
        raise AssetError(f"{path}: expected an object with an entry a sample")
    for done, sample in enumerate(table.values(), 1):
        try:
            _person(sample, folder, options.apart, rows)
        except BadSample as error:
            rows.skip(str(error))
        if done % 500 == 0 or done == len(table):
            step("people", done, len(table))


def _person(sample: Mapping, folder: str, apart: float, rows: Rows) -> None:
    outer = of_sample(sample, "extri", 16).reshape(4, 4)
    inner = of_sample(sample, "intri", 9).reshape(3, 3)
    rotation, shift = outer[:3, :3], outer[:3, 3]
    joints = of_sample(sample, "smpl_joints_3d", 72).reshape(1, 24, 3)
    points = of_sample(sample, "smpl_joints_2d", 48).reshape(24, 2)
    here = moved(rotation, shift, joints)
    _check(here[0] @ inner.T, points, apart)
    corner, end = of_sample(sample, "bbox", 4).reshape(2, 2)
    body = Body(
        turned(rotation, of_sample(sample, "pose", 72).reshape(1, 24, 3)),
        of_sample(sample, "betas", 10)[None],
        translation(rotation, shift, joints[:, 0], of_sample(sample, "trans", 3)[None]),
    )
    text = sample.get("img_path")
    if not isinstance(text, str):
        raise BadSample("img_path is missing")
    rows.add(
        [f"{folder}/" + text.replace("\\", "/").lstrip("/")],
        grown(np.concatenate([corner, end - corner])[None]),
        {
            "keypoints2d": np.concatenate([with_confidence(points), _lsp(sample)])[None],
            "keypoints3d": with_confidence(here),
        },
        body,
        "neutral",
        (np.diag(inner)[:2], inner[:2, 2]),
    )


def _lsp(sample: Mapping) -> np.ndarray:
    """The further keypoints [n, 3], without confidence where a sample has none."""
    given = sample.get("lsp_joints_2d")
    size = len(convention("lsp"))
    if given is None:
        return np.zeros((len(_LSP), 3))
    width = 3 if np.size(given) == 3 * size else 2
    points = of_sample(sample, "lsp_joints_2d", width * size).reshape(size, width)
    return with_confidence(points[list(_LSP.values()), :2])


def _check(projected: np.ndarray, points: np.ndarray, apart: float) -> None:
    if not (projected[:, 2] > 0).all():
        raise BadSample("joints are behind the camera")
    off = np.linalg.norm(projected[:, :2] / projected[:, 2:] - points, axis=1)
    if not np.median(off) <= apart:
        raise BadSample(f"3D joints do not project onto the 2D joints (median over {apart:g} px)")
