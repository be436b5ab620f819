"""A HumanData file as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nbf_core.conventions import convention
from nbf_core.errors import InputError
from nbf_core.geometry.keypoints import convert_keypoints
from nbf_datasets.humandata.points import Held, Points

GENDERS = ("neutral", "female", "male")
COMMON = "human_data"


@dataclass(frozen=True)
class HumanData:
    """Labels of N people, one crop of an image each. What is not known is None or missing.

    ``image_path``: text [N], relative to the data set's folder. ``boxes``: x, y, width, height and score in pixels of
    the image, [N, 5]. ``keypoints``: by field, such as ``keypoints2d`` (x, y in pixels, confidence) and
    ``keypoints3d`` (metres, axes of the camera: x right, y down, z forward, confidence). ``smpl``: ``body_pose``
    [N, 23, 3], ``global_orient`` [N, 3] in the camera's axes, ``betas`` [N, 10] and perhaps ``transl`` [N, 3].
    ``has_smpl``: bool [N]. ``gender``: a row of ``GENDERS`` each, int64 [N]. ``camera``: ``focal`` and ``center``
    [N, 2] in pixels of the image, if ``transl`` is a place before that camera: an addition of ours to the format.
    ``config``: the data set's name. ``extra``: other fields that are kept. ``fields`` describes what the file holds.
    """

    image_path: np.ndarray
    boxes: np.ndarray
    keypoints: Mapping[str, Points] = field(default_factory=dict)
    smpl: Mapping[str, np.ndarray] | None = None
    has_smpl: np.ndarray | None = None
    gender: np.ndarray | None = None
    camera: Mapping[str, np.ndarray] | None = None
    config: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    fields: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.image_path)

    @property
    def name(self) -> str:
        """The file, for messages."""
        return str(self.path) if self.path else "HumanData"

    @property
    def with_body(self) -> np.ndarray:
        """Which samples have body parameters, bool [N]."""
        if self.smpl is None:
            return np.zeros(len(self), bool)
        return np.ones(len(self), bool) if self.has_smpl is None else self.has_smpl

    def select(self, index: Sequence[int] | np.ndarray) -> HumanData:
        """Some of the samples, in this order; ``extra`` fields of one entry a sample are cut alike."""
        index, count = np.asarray(index, np.int64), len(self)

        def cut(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {key: cut(part) for key, part in value.items()}
            if isinstance(value, np.ndarray) and value.ndim and len(value) == count:
                return value[index]
            return [value[i] for i in index] if isinstance(value, list) and len(value) == count else value

        return replace(
            self,
            keypoints={name: points.select(index) for name, points in self.keypoints.items()},
            extra={name: cut(value) for name, value in self.extra.items()},
            **{
                name: cut(getattr(self, name))
                for name in ("image_path", "boxes", "smpl", "has_smpl", "gender", "camera")
            },
        )


def make(
    image_path: Sequence[str],
    boxes: np.ndarray,
    keypoints: Mapping[str, tuple[np.ndarray, str]] | None = None,
    gender: Sequence[str] | None = None,
    **more: Any,
) -> HumanData:
    """HumanData from arrays in a data set's own terms, for converters.

    ``boxes`` [N, 4] or with a score [N, 5]; ``keypoints`` by field: values [N, n, c] and the name of their convention.
    ``gender``: words that begin like a name of ``GENDERS``. ``more`` are fields of :class:`HumanData` as they are.
    Raises InputError naming the field whose number of samples differs from that of ``image_path``.
    """
    boxes = np.asarray(boxes, np.float64)
    if boxes.ndim == 2 and boxes.shape[1] == 4:
        boxes = np.concatenate([boxes, np.ones((len(boxes), 1))], 1)
    points = {}
    for name, (values, source) in (keypoints or {}).items():
        rows, known = convert_keypoints(np.asarray(values, np.float32), source, COMMON)
        kept = np.flatnonzero(known)
        points[name] = Points(COMMON, {int(row): i for i, row in enumerate(kept)}, Held(rows[:, kept]))
    data = HumanData(
        image_path=np.array([str(one) for one in image_path], dtype=np.str_),
        boxes=boxes,
        keypoints=points,
        gender=None if gender is None else np.array([gender_row(one) for one in gender], np.int64),
        **more,
    )
    _check_counts(data)
    return data


def gender_row(word: Any) -> int:
    """The row of ``GENDERS`` that a word of a data set means; what is neither male nor female is neutral."""
    first = str(word).strip().lower()[:1]
    return {"f": 1, "m": 2}.get(first, 0)


def joint_names(points: Points) -> tuple[str, ...]:
    """All joints of the convention of ``points``."""
    return convention(points.convention).joints


def _check_counts(data: HumanData) -> None:
    arrays: dict[str, np.ndarray] = {"boxes": data.boxes}
    arrays |= {name: points.source for name, points in data.keypoints.items()}  # type: ignore[dict-item]
    arrays |= {f"smpl/{name}": value for name, value in (data.smpl or {}).items()}
    arrays |= {f"camera/{name}": value for name, value in (data.camera or {}).items()}
    arrays |= {name: getattr(data, name) for name in ("has_smpl", "gender") if getattr(data, name) is not None}
    for name, value in arrays.items():
        if value.shape[0] != len(data):
            raise InputError(f"{name}: {value.shape[0]} samples, image_path has {len(data)}")
