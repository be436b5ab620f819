"""Pickles, npy and npz files of unknown origin as plain values. Errors name the file and, where known, the field."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from nbf_core.errors import AssetError
from nbf_core.pickles.machine import PickleError
from nbf_core.pickles.operations import follow
from nbf_core.pickles.values import to_value

MOST_BYTES = 1 << 32
"""How large a file may be, for an npz everything in it when unpacked, unless a caller says otherwise."""


_MOST_UNPACKED = 1032  # bytes that one byte can stand for, in the only compression that numpy uses


def read_pickle(path: Path, most: int = MOST_BYTES) -> Any:
    """What a pickle holds: numbers, text, lists, tuples, dictionaries, frozen sets and arrays. Nothing in it is run.

    Text and bytes of Python 2 become text (Latin-1). Sparse matrices are written out; chumpy's arrays become what
    they store, or :class:`Unread` where chumpy would have to compute it. Raises AssetError naming the file, and what
    it asks for where that is refused.
    """
    path = Path(path)
    with _reading(path):
        _check_size(path, most)
        return _value(path.read_bytes())


def read_pickled_arrays(path: Path, most: int = MOST_BYTES) -> dict[str, np.ndarray]:
    """The arrays of a pickled dictionary by their names; lists of numbers count as arrays, other entries do not.

    Raises AssetError as :func:`read_pickle` does.
    """
    found = read_pickle(path, most)
    if not isinstance(found, dict):
        raise AssetError(f"{path}: expected a dictionary of arrays, found {type(found).__name__}")
    given = {}
    for key, value in found.items():
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            given[str(key)] = value
        elif isinstance(value, list) and value and all(isinstance(item, (int, float)) for item in value):
            given[str(key)] = np.array(value, dtype=np.float64)
    return given


def read_npy(path: Path, most: int = MOST_BYTES) -> np.ndarray:
    """The array of an npy file; one of objects is read as :func:`read_pickle` reads. Raises AssetError."""
    path = Path(path)
    with _reading(path):
        size = _check_size(path, most)
        with path.open("rb") as file:
            return _array(file, size)


def read_npz(path: Path, most: int = MOST_BYTES) -> dict[str, Any]:
    """The arrays of an npz file by their names; those of objects are read as :func:`read_pickle` reads.

    Arrays of objects without dimensions, as numpy keeps dictionaries, become what they hold. Raises AssetError naming
    the file and the array, also where unpacking would give more than ``most`` bytes.
    """
    path, found = Path(path), {}
    with _reading(path), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        # The sizes are the archive's own word; no more than it says is read of any member.
        total = sum(member.file_size for member in members)
        if total > most:
            raise PickleError(f"unpacks to {total} bytes, more than {most}")
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name == member.filename or name in found:
                raise PickleError(f"{ascii(member.filename)[1:-1]}: " + ("twice" if name in found else "no array"))
            try:
                with archive.open(member) as file:
                    value = _array(file, member.file_size)
            except (PickleError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
                raise PickleError(f"{name}: {error}") from error
            found[name] = value.item() if value.dtype.hasobject and value.ndim == 0 else value
    return found


def _value(data: bytes) -> Any:
    return to_value(follow(data), len(data))


def _array(file: io.BufferedIOBase, size: int) -> np.ndarray:
    """The array of an opened npy file that is ``size`` bytes long."""
    shape, fortran, dtype = _header(file)
    left = size - file.tell()
    if dtype.hasobject:
        held = _value(file.read(left))
        if dtype != np.dtype(object) or not isinstance(held, np.ndarray) or held.shape != shape:
            raise PickleError("objects of another shape than announced")
        return held
    if dtype.names is not None or dtype.subdtype is not None:
        raise PickleError("an array of records, which is not read")
    wanted = math.prod(shape) * dtype.itemsize
    if wanted != left:
        raise PickleError(f"shape {shape} and type {dtype} need {wanted} bytes, {left} are there (cut short?)")
    found = np.empty(shape, dtype, order="F" if fortran else "C")
    flat = memoryview(found.reshape(-1, order="A").view(np.uint8)) if wanted else memoryview(b"")
    at = 0
    while at < wanted:
        piece = file.read(min(1 << 24, wanted - at))
        if not piece:
            raise PickleError("cut short")
        flat[at : at + len(piece)] = piece
        at += len(piece)
    file.read(1)  # an archive compares its checksum at the end
    return found


def _header(file: io.BufferedIOBase) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type of an npy file. numpy takes the header for a Python literal and runs nothing."""
    try:
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0), (3, 0)):
            raise PickleError(f"npy format {version}, which is not read")
        # The later versions differ in the encoding of the names of records' fields alone; records are not read.
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        return read(file)
    except (PickleError, OSError, zipfile.BadZipFile, zlib.error):
        raise
    except Exception as error:  # of what is no literal, Python's parser complains in several ways
        raise PickleError(f"damaged header ({error})") from error


def _check_size(path: Path, most: int) -> int:
    size = path.stat().st_size
    if size > most:
        raise PickleError(f"{size} bytes, more than {most}")
    return size


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except PickleError as error:
        raise AssetError(f"{path}: refused or damaged: {error}; nothing in it was run") from error
    except FileNotFoundError as error:
        raise AssetError(f"{path}: no such file") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, io.UnsupportedOperation) as error:
        raise AssetError(f"{path}: cannot be read ({error})") from error
