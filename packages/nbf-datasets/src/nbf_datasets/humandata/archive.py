"""The fields of an npz file, each looked at when it is asked for. Nothing is unpickled, nothing is unpacked to disk."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from nbf_core.errors import AssetError
from nbf_core.pickles.operations import follow
from nbf_core.pickles.values import to_value

MOST_BYTES = 1 << 35
"""How large all fields together may say they are, unpacked: 190 keypoints of Human3.6M's images are 4 GB."""

MOST_OF_A_FIELD = 1 << 30
"""How large a field may be that is read as a whole: all but keypoints."""

_CHUNK = 1 << 24  # bytes of a field held at a time while columns are picked from it
_DAMAGE = (ValueError, EOFError, OSError, RuntimeError, SyntaxError, zipfile.BadZipFile, zlib.error, OverflowError)


@dataclass(frozen=True)
class Field:
    """What an array's header says. ``dtype`` is object where the field is a pickle; then ``shape`` is not binding."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool
    size: int

    def __str__(self) -> str:
        if self.dtype.hasobject:
            return f"objects, {self.size} bytes"
        return f"{self.dtype} {list(self.shape)}" if self.shape else str(self.dtype)


class Archive:
    """The fields of the npz file at ``path``: opened for each access, so that any process may read.

    Raises AssetError naming the file where it is no npz file, is cut short, or says that it unpacks to more than
    ``most`` bytes. No more of a field is read than the archive and the array's own header agree on.
    """

    def __init__(self, path: Path, most: int = MOST_BYTES) -> None:
        self.path = Path(path)
        with self._opened() as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if total > most:
                raise AssetError(f"{self.path}: unpacks to {total} bytes, more than the {most} allowed")
            fields: dict[str, Field] = {}
            for member in members:
                name = member.filename.removesuffix(".npy")
                if name == member.filename or name in fields:
                    what = "is there twice" if name in fields else "is no array"
                    raise AssetError(f"{self.path}: {_shown(member.filename)} {what}")
                with self._damage(name), archive.open(member) as file:
                    fields[name] = _header(name, file, member.file_size)
        self.fields: Mapping[str, Field] = fields

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def error(self, name: str, text: str) -> AssetError:
        """An error that names file and field."""
        return AssetError(f"{self.path}: {_shown(name)}: {text}")

    def read(self, name: str) -> Any:
        """A field: an array, or what a pickled field holds (plain values and arrays). Raises AssetError naming it."""
        field = self._whole(name)
        with self._opened() as archive, self._damage(name), archive.open(f"{name}.npy") as file:
            _header(name, file, field.size)
            if field.dtype.hasobject:
                data = file.read()
                value = to_value(follow(data), len(data))
                if not isinstance(value, np.ndarray):
                    raise ValueError("a pickle that is no array")
                return value.item() if value.ndim == 0 else value
            flat = np.frombuffer(_exactly(file, _bytes(field)), field.dtype)
            file.read(1)  # at the end the archive compares its checksum
        return flat.reshape(field.shape, order="F" if field.fortran else "C")

    def columns(self, name: str, columns: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
        """``field[:, columns]`` of a field of numbers [N, k, c], without ever holding the whole of it."""
        parts = [rows[:, list(columns)].astype(dtype) for rows in self.chunks(name)]
        shape = self.fields[name].shape
        return np.concatenate(parts) if parts else np.zeros((0, len(columns), *shape[2:]), dtype)

    def chunks(self, name: str) -> Iterator[np.ndarray]:
        """Consecutive rows of a field of numbers, some megabytes at a time."""
        field = self.fields[name]
        if field.dtype.hasobject or field.fortran or not field.shape:
            yield np.asarray(self.read(name))
            return
        row = math.prod(field.shape[1:]) * field.dtype.itemsize
        step = max(1, _CHUNK // max(row, 1))
        with self._opened() as archive, self._damage(name), archive.open(f"{name}.npy") as file:
            _header(name, file, field.size)
            for first in range(0, field.shape[0], step):
                count = min(step, field.shape[0] - first)
                flat = np.frombuffer(_exactly(file, count * row), field.dtype)
                yield flat.reshape(count, *field.shape[1:])
            file.read(1)

    def _whole(self, name: str) -> Field:
        field = self.fields[name]
        if field.size > MOST_OF_A_FIELD:
            raise self.error(name, f"{field.size} bytes, more than the {MOST_OF_A_FIELD} allowed")
        return field

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        try:
            archive = zipfile.ZipFile(self.path)
        except FileNotFoundError as error:
            raise AssetError(f"{self.path}: no such file") from error
        except _DAMAGE as error:
            raise AssetError(f"{self.path}: no npz file, or cut short ({error})") from error
        with archive:
            yield archive

    @contextmanager
    def _damage(self, name: str) -> Iterator[None]:
        try:
            yield
        except _DAMAGE as error:
            raise self.error(name, f"refused or damaged: {error or 'cut short'}") from error


def _header(name: str, file: zipfile.ZipExtFile, size: int) -> Field:
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"npy format {version}, which is not read")
    # The later versions differ in the names of records' fields alone, and records are not read.
    shape, fortran, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(file)
    if dtype.names is not None or dtype.subdtype is not None or dtype.kind not in "biufSUO":
        raise ValueError(f"an array of {dtype}, which is not read")
    if any(side < 0 for side in shape):
        raise ValueError(f"the shape {shape}")
    field = Field(name, dtype, tuple(shape), bool(fortran), size)
    if not dtype.hasobject and _bytes(field) != size - file.tell():
        raise ValueError(
            f"{dtype} {list(shape)} needs {_bytes(field)} bytes, {size - file.tell()} are there (cut short?)"
        )
    return field


def _bytes(field: Field) -> int:
    return math.prod(field.shape) * field.dtype.itemsize


def _exactly(file: zipfile.ZipExtFile, count: int) -> bytearray:
    """``count`` bytes, taken as they come: what is announced and not there costs no memory."""
    data = bytearray()
    while len(data) < count:
        piece = file.read(min(_CHUNK, count - len(data)))
        if not piece:
            raise EOFError("cut short")
        data += piece
    return data


def _shown(name: str) -> str:
    """A name from a file in one line of plain characters."""
    return ascii(name)[1:-1][:200]
