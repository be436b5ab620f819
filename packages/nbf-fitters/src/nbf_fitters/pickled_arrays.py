"""Reads the arrays of a pickled dictionary without running anything that is in the file.

Older model data, such as SMPLify's pose mixture, are pickles of dictionaries of numpy arrays. Everything such a
file may name is replaced by inert stand-ins that only keep what they are given; any other name ends the reading.
"""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from nbf_core.errors import AssetError


class _Array:
    """Stands for an array being rebuilt: its state is shape, type, order and bytes, as numpy writes them."""

    def __init__(self, *_: Any) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, raw = state
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
        if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes):
            raise pickle.UnpicklingError("an array of Python objects")
        flat = np.frombuffer(raw, dtype.numpy())
        if flat.size != math.prod(shape):
            raise pickle.UnpicklingError(f"an array of shape {shape} with {flat.size} numbers")
        self.value = flat.reshape(shape, order="F" if fortran else "C")


class _Dtype:
    """Stands for a number type: a letter and a size, little or big end first."""

    def __init__(self, name: Any = "", *_: Any) -> None:
        self.name, self.order = name, "<"

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1] if state[1] in ("<", ">") else "<"

    def numpy(self) -> np.dtype:
        name = self.name.decode("ascii") if isinstance(self.name, bytes) else str(self.name)
        if name not in ("f4", "f8", "i4", "i8", "u1", "u4", "u8", "b1"):
            raise pickle.UnpicklingError(f"an array of type {name!r}")
        return np.dtype(self.order + name)


class _Inert:
    """What a file may call; whatever it tries to attach to it ends the reading."""

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("an unexpected state")


class _Buffer(_Inert):
    """Stands for an array given as one buffer, the newest way of writing them."""

    def __new__(cls, raw: Any, dtype: Any, shape: Any, order: Any) -> Any:
        array = _Array()
        array.__setstate__((1, shape, dtype, order == "F", bytes(raw)))
        return array


class _Scalar(_Inert):
    def __new__(cls, dtype: Any, raw: Any = b"") -> Any:
        array = _Array()
        array.__setstate__((1, (1,), dtype, False, raw))
        return array.value[0]


class _Encode(_Inert):
    """Bytes that were written as text."""

    def __new__(cls, text: Any, *_: Any) -> Any:
        return str(text).encode("latin1")


_KNOWN = {
    ("multiarray", "_reconstruct"): _Array,
    ("multiarray", "scalar"): _Scalar,
    ("numeric", "_frombuffer"): _Buffer,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Encode,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        short = module.removeprefix("numpy.core.").removeprefix("numpy._core.")
        try:
            return _KNOWN[short, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name}, which is not an array of numbers") from None

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("a reference to another file")


def read_pickled_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a pickled dictionary by their names; lists of numbers count as arrays, other entries do not.

    Nothing in the file is executed. Raises AssetError naming the file and what it holds besides.
    """
    try:
        with path.open("rb") as file:
            found = _Reader(file, encoding="latin1").load()
    except OSError as error:
        raise AssetError(f"{path}: cannot be read ({error})") from error
    except Exception as error:  # a damaged pickle fails in any of a dozen ways
        raise AssetError(f"{path}: not a pickle of plain arrays: {error or type(error).__name__}") from error
    if not isinstance(found, dict):
        raise AssetError(f"{path}: expected a dictionary of arrays, found {type(found).__name__.strip('_')}")
    arrays = {}
    for key, value in found.items():
        if isinstance(value, _Array) and value.value is not None:
            arrays[str(key)] = value.value
        elif isinstance(value, list) and value and all(isinstance(item, int | float) for item in value):
            arrays[str(key)] = np.array(value, dtype=np.float64)
    return arrays
