"""Labels in the form that SPIN (Kolotouros et al., ICCV 2019) gave to many data sets, and others after it.

An npz file with ``imgname``, ``center``, ``scale``, and some of ``part`` [N, 24, 3], ``openpose`` [N, 25, 3], ``S``
[N, 24, 4], ``pose`` [N, 72], ``shape`` [N, 10], ``has_smpl``, ``gender``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nbf_core.conventions import convention
from nbf_core.errors import AssetError
from nbf_core.pickles import read_npy, read_npz
from nbf_datasets.converters.boxes import square
from nbf_datasets.converters.config import SpinOptions
from nbf_datasets.converters.eft import SIDE
from nbf_datasets.converters.poses import Body
from nbf_datasets.converters.rows import Rows, Step
from nbf_datasets.converters.source import entry, find_file, numbers

_PARTS = convention("smpl_24").joints
_OPENPOSE = convention("openpose_25").joints


def convert(source: Path, options: SpinOptions, rows: Rows, step: Step) -> None:
    """All samples of the file; a box is the square of 200 pixels times ``scale``. Joints are about the pelvis."""
    path = find_file(source, options.file)
    held = read_npz(path)
    names = np.ravel(entry(held, "imgname", path)).tolist()
    texts = [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names]
    count = len(texts)
    rows.joints("keypoints2d", (*_OPENPOSE, *_PARTS))
    rows.joints("keypoints3d", _PARTS)

    def get(name: str, *shape: int) -> np.ndarray:
        return numbers(held[name], (count, *shape), path, name) if name in held else np.zeros((count, *shape))

    side = SIDE * numbers(np.ravel(entry(held, "scale", path)), (count,), path, "scale")
    boxes = square(numbers(entry(held, "center", path), (count, 2), path, "center"), side)
    points = np.concatenate([get("openpose", 25, 3), get("part", 24, 3)], 1)
    body = _body(held, options, source, path, count)
    words = [str(word) for word in np.ravel(held["gender"]).tolist()] if "gender" in held else [None] * count
    if len(words) != count:
        raise AssetError(f"{path}: gender: {len(words)} samples, imgname has {count}")
    joints = get("S", 24, 4)
    for word in dict.fromkeys(words):
        at = np.flatnonzero([one == word for one in words])
        own = None if body is None else Body(body.pose[at], body.betas[at], None, body.known[at])
        labels = {"keypoints2d": points[at], "keypoints3d": joints[at]}
        rows.add([texts[i] for i in at], boxes[at], labels, own, word)
    step("people", count, count)


def _body(held, options: SpinOptions, source: Path, path: Path, count: int) -> Body | None:
    if options.fits is not None:
        path = find_file(source, options.fits)
        both = numbers(read_npy(path), (count, 82), path, "fits")
        return Body(both[:, :72].reshape(count, 24, 3), both[:, 72:], None, np.ones(count, bool))
    if "pose" not in held:
        return None
    pose = numbers(held["pose"], (count, 72), path, "pose").reshape(count, 24, 3)
    betas = numbers(entry(held, "shape", path), (count, 10), path, "shape")
    known = np.ravel(held["has_smpl"]) > 0 if "has_smpl" in held else np.ones(count, bool)
    if len(known) != count:
        raise AssetError(f"{path}: has_smpl: {len(known)} samples, imgname has {count}")
    return Body(pose, betas, None, known)
