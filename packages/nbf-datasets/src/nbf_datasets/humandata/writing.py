"""HumanData to an npz file of plain arrays."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from nbf_core.errors import AssetError, InputError
from nbf_datasets.humandata.data import COMMON, GENDERS, HumanData

_FIRST_DATE = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes


def write_humandata(data: HumanData, path: Path | str) -> Path:
    """Write ``data`` to ``path``, which appears whole or not at all. Nothing in it is pickled.

    Fields are those of MMHuman3D's HumanData, keypoints compressed by their masks; dictionaries become fields
    ``smpl/body_pose``, ``meta/gender``. The same data give the same bytes. Raises InputError for an ``extra`` field
    that is no array of numbers or text, AssetError where nothing can be written.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise InputError(f"{path}: HumanData is written to files whose name ends in .npz")
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.stem}-", suffix=".part", delete=False
        ) as file:
            temporary = Path(file.name)
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
                for name, value in _arrays(data):
                    _write(archive, name, value)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise AssetError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return path


def _arrays(data: HumanData) -> Iterator[tuple[str, np.ndarray]]:
    yield "__key_strict__", np.array(False)
    yield "__data_len__", np.array(len(data))
    yield "__keypoints_compressed__", np.array(True)
    yield "config", np.array(data.config)
    yield "image_path", data.image_path
    yield "bbox_xywh", data.boxes
    for name, points in data.keypoints.items():
        yield name, points.values()
        yield f"{name}_mask", points.mask()
        yield f"{name}_convention", np.array(points.convention or COMMON)
    for table in ("smpl", "camera"):
        for name, value in (getattr(data, table) or {}).items():
            yield f"{table}/{name}", value
    if data.has_smpl is not None:
        yield "has_smpl", data.has_smpl.astype(np.uint8)
    if data.gender is not None:
        yield "meta/gender", np.array(GENDERS)[data.gender]
    yield from _extra(data.extra)


def _extra(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _extra(value, f"{prefix}{name}/")
            continue
        array = np.asarray(value)
        if array.dtype.kind not in "biufSU":
            raise InputError(f"{prefix}{name}: an array of {array.dtype}, which is not written")
        yield f"{prefix}{name}", array


def _write(archive: zipfile.ZipFile, name: str, value: np.ndarray) -> None:
    info = zipfile.ZipInfo(f"{name}.npy", _FIRST_DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(info, "w", force_zip64=True) as file:
        npy.write_array(file, np.ascontiguousarray(value) if value.ndim else value, allow_pickle=False)


def _umask() -> int:
    """What the process leaves off new files; asking for it needs setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
