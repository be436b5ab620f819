"""From an npz file to HumanData. The form of its fields is checked here; ``checking`` looks at the samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nbf_core.conventions import CONVENTIONS, convention
from nbf_core.errors import AssetError, ConfigError
from nbf_datasets.humandata.archive import MOST_BYTES, Archive
from nbf_datasets.humandata.data import COMMON, HumanData, gender_row
from nbf_datasets.humandata.points import Points, Stored

LONGEST_PATH = 1024
FLAGS = ("__keypoints_compressed__", "__key_strict__", "__data_len__", "__temporal_len__")
_DICTIONARIES = ("smpl", "meta", "camera")
_SMPL_SHAPES = {"body_pose": ((23, 3), (69,)), "global_orient": ((3,), (1, 3)), "transl": ((3,), (1, 3))}


def read_humandata(path: Path | str, most: int = MOST_BYTES) -> HumanData:
    """The file at ``path``, its keypoints left on disk until they are needed.

    Takes what MMHuman3D and the published project wrote (dictionaries and lists as pickled objects, which are read
    and not run; keypoints compressed by their mask or not) and what :func:`write_humandata` writes. ``most`` limits
    what the file says it unpacks to. Raises AssetError naming the file and the field: not an npz file, cut short, a
    field missing, of a wrong shape or number of samples, a mask that does not fit, a pickle of anything but data.
    """
    archive = Archive(Path(path), most)
    return _Reading(archive).humandata()


def is_humandata(path: Path) -> bool:
    """Whether the file is an npz file with a field ``image_path``. Raises AssetError where it cannot be read at all."""
    return "image_path" in Archive(path).fields


class _Reading:
    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.tables = {name: self._table(name) for name in _DICTIONARIES}
        self.count = 0

    def humandata(self) -> HumanData:
        paths = self._paths()
        self.count = len(paths)
        boxes = self._boxes()
        keypoints = self._keypoints()
        smpl, has_smpl = self._smpl()
        fields = {name: str(field) for name, field in self.archive.fields.items() if name not in FLAGS}
        camera = self.tables["camera"]
        self._check_length()
        return HumanData(
            image_path=paths,
            boxes=boxes,
            keypoints=keypoints,
            smpl=smpl,
            has_smpl=has_smpl,
            gender=self._gender(),
            camera=None if not camera else {key: self._numbers(f"camera/{key}", camera, key, (2,)) for key in _CAMERA},
            config=self._text("config"),
            path=self.archive.path,
            fields=fields,
        )

    def _paths(self) -> np.ndarray:
        if "image_path" not in self.archive:
            raise AssetError(f"{self.archive.path}: image_path: this field is missing (is it a HumanData file?)")
        self._limit_text("image_path")
        value = self.archive.read("image_path")
        found = value.tolist() if isinstance(value, np.ndarray) else value
        if not isinstance(found, (list, tuple)) or not found:
            raise self.archive.error("image_path", "expected one path a sample")
        texts = [one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in found]
        for number, text in enumerate(texts):
            if not isinstance(text, str) or len(text) > LONGEST_PATH:
                raise self.archive.error("image_path", f"sample {number}: not a path of at most {LONGEST_PATH} letters")
        return np.array(texts, dtype=np.str_)

    def _boxes(self) -> np.ndarray:
        if "bbox_xywh" not in self.archive:
            raise self.archive.error("bbox_xywh", "this field is missing")
        boxes = self._array("bbox_xywh")
        if boxes.ndim != 2 or boxes.shape[1] not in (4, 5):
            raise self._shape("bbox_xywh", f"[{self.count}, 5]", boxes.shape)
        self._samples("bbox_xywh", boxes.shape)
        if boxes.shape[1] == 4:
            boxes = np.concatenate([boxes, np.ones((len(boxes), 1))], 1)
        return boxes.astype(np.float64)

    def _keypoints(self) -> dict[str, Points]:
        compressed = "__keypoints_compressed__" in self.archive and bool(self.archive.read("__keypoints_compressed__"))
        found = {}
        for name, field in self.archive.fields.items():
            if not name.startswith("keypoints") or name.endswith(("_mask", "_convention")):
                continue
            size = {"keypoints2d": 3, "keypoints3d": 4}.get(name[:11])
            if size is None or field.dtype.hasobject or field.dtype.kind not in "fiu":
                continue
            if len(field.shape) != 3 or field.shape[2] != size:
                raise self._shape(name, f"[{self.count}, joints, {size}]", field.shape)
            self._samples(name, field.shape)
            found[name] = self._points(name, field.shape[1], compressed)
        return found

    def _points(self, name: str, columns: int, compressed: bool) -> Points:
        source = self._convention(name)
        joints, mask_name = len(convention(source)), f"{name}_mask"
        if mask_name not in self.archive:
            if compressed or columns != joints or source == COMMON:
                raise self.archive.error(mask_name, f"this field is missing, and {name} needs it")
            return Points(source, {row: row for row in range(joints)}, Stored(self.archive, name))
        mask = self._array(mask_name)
        if mask.shape != (joints,):
            raise self._shape(mask_name, f"[{joints}], a number for each joint of {source}", mask.shape)
        if not np.isin(mask, (0, 1)).all():
            raise self.archive.error(mask_name, "expected zeros and ones")
        rows = np.flatnonzero(mask).tolist()
        if compressed:
            if columns != len(rows):
                raise self.archive.error(mask_name, f"names {len(rows)} joints, {name} holds {columns}")
            return Points(source, {row: i for i, row in enumerate(rows)}, Stored(self.archive, name))
        if columns != joints:
            raise self._shape(name, f"[{self.count}, {joints}, ...], all joints of {source}", (self.count, columns))
        return Points(source, {row: row for row in rows}, Stored(self.archive, name))

    def _convention(self, name: str) -> str:
        written = self._text(f"{name}_convention") or COMMON
        try:
            return convention(written).name
        except ConfigError as error:
            names = ", ".join(CONVENTIONS)
            raise self.archive.error(f"{name}_convention", f"{ascii(written[:80])} is none of {names}") from error

    def _smpl(self) -> tuple[dict[str, np.ndarray] | None, np.ndarray | None]:
        table, has = self.tables["smpl"], None
        if "has_smpl" in self.archive:
            has = self._array("has_smpl").reshape(-1)
            self._samples("has_smpl", has.shape)
            has = has > 0
        if not table:
            return None, has
        found = {}
        for key, shapes in _SMPL_SHAPES.items():
            if key == "transl" and key not in table:
                continue
            found[key] = self._numbers(f"smpl/{key}", table, key, *shapes)
        found["body_pose"] = found["body_pose"].reshape(self.count, 23, 3)
        betas = self._given("smpl/betas", table, "betas")
        if betas.ndim != 2 or not 1 <= betas.shape[1] <= 400:
            raise self._shape("smpl/betas", f"[{self.count}, 10]", betas.shape)
        self._samples("smpl/betas", betas.shape)
        found["betas"] = betas.astype(np.float32)
        return found, has

    def _gender(self) -> np.ndarray | None:
        given = (self.tables["meta"] or {}).get("gender")
        if given is None:
            return None
        words = given.tolist() if isinstance(given, np.ndarray) else given
        if not isinstance(words, (list, tuple)):
            raise self.archive.error("meta/gender", "expected a word for each sample")
        self._samples("meta/gender", (len(words),))
        return np.array([gender_row(word) for word in words], np.int64)

    def _table(self, name: str) -> dict[str, Any] | None:
        """A dictionary: a field of its own, or fields ``name/key``."""
        found = {
            key.removeprefix(f"{name}/"): self.archive.read(key)
            for key, field in self.archive.fields.items()
            if key.startswith(f"{name}/") and not field.dtype.hasobject
        }
        if name in self.archive:
            value = self.archive.read(name)
            if value is not None and not isinstance(value, Mapping):
                raise self.archive.error(name, f"expected a dictionary, found {type(value).__name__}")
            found |= {str(key): part for key, part in (value or {}).items()}
        return found or None

    def _numbers(self, name: str, table: Mapping[str, Any], key: str, *shapes: tuple[int, ...]) -> np.ndarray:
        """An array of a dictionary, [N, *shape] for the first of ``shapes``, float32."""
        value = self._given(name, table, key)
        if value.shape[1:] not in shapes:
            raise self._shape(name, str([self.count, *shapes[0]]), value.shape)
        self._samples(name, value.shape)
        return value.reshape(self.count, *shapes[0]).astype(np.float32)

    def _given(self, name: str, table: Mapping[str, Any], key: str) -> np.ndarray:
        if key not in table:
            raise self.archive.error(name, "this field is missing")
        value = table[key]
        try:
            value = np.asarray(value)
        except ValueError as error:  # lists of different lengths
            raise self.archive.error(name, "expected an array") from error
        if value.dtype.kind not in "fiu" or value.ndim == 0:
            raise self.archive.error(name, f"expected numbers, found {value.dtype} {list(value.shape)}")
        return value

    def _array(self, name: str) -> np.ndarray:
        value = self.archive.read(name)
        if isinstance(value, np.ndarray) and value.dtype.hasobject:
            value = value.tolist()
        try:
            value = np.asarray(value)
        except ValueError as error:
            raise self.archive.error(name, "expected an array") from error
        if value.dtype.kind not in "fiub":
            raise self.archive.error(name, f"expected numbers, found {value.dtype}")
        return value

    def _text(self, name: str) -> str:
        if name not in self.archive:
            return ""
        self._limit_text(name)
        value = self.archive.read(name)
        value = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.archive.error(name, f"expected text, found {type(value).__name__}")
        return value

    def _limit_text(self, name: str) -> None:
        field = self.archive.fields[name]
        if field.dtype.kind in "SU" and field.dtype.itemsize > 4 * LONGEST_PATH:
            raise self.archive.error(name, f"text of {field.dtype.itemsize} bytes each, more than {4 * LONGEST_PATH}")

    def _check_length(self) -> None:
        for name in ("__data_len__", "__temporal_len__"):
            if name in self.archive:
                said = self.archive.read(name)
                said = int(said) if np.ndim(said) == 0 and np.asarray(said).dtype.kind in "iu" else -1
                if said not in (-1, self.count):
                    raise self.archive.error(name, f"says {said} samples, image_path has {self.count}")

    def _samples(self, name: str, shape: tuple[int, ...]) -> None:
        if not shape or shape[0] != self.count:
            raise self.archive.error(name, f"{shape[0] if shape else 0} samples, image_path has {self.count}")

    def _shape(self, name: str, expected: str, got: tuple[int, ...]) -> AssetError:
        return self.archive.error(name, f"expected {expected}, got {list(got)}")


_CAMERA = ("focal", "center")
