"""Arrays from the parts that pickles keep of them. Every size is checked against the numbers that are there."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from nbf_core.pickles.machine import PickleError

MOST_DENSE = 1 << 27
"""Numbers that a sparse matrix, or a selection out of an array, may spread to: one gigabyte of them."""

_NUMBERS = re.compile(r"(f[248]|[iu][1248]|b1|c8|c16|U\d{1,6}|S\d{1,6}|O8?)")


def expect(parts: Any, count: int, what: str) -> tuple:
    """``parts`` as a tuple of ``count`` values."""
    if not isinstance(parts, tuple) or len(parts) != count:
        raise PickleError(f"damaged: {what} of the wrong parts")
    return parts


def listed(values: Any) -> Sequence[Any]:
    """A list or tuple as it is."""
    if not isinstance(values, (list, tuple)):
        raise PickleError("damaged: no list where one was expected")
    return values


def number_type(arguments: Any, state: Any) -> np.dtype:
    """A number type: letter and size, and from the state which end comes first and the length of texts."""
    name = arguments[0] if isinstance(arguments, tuple) and arguments else None
    name = name.decode("latin1") if isinstance(name, bytes) else name
    given = state if isinstance(state, tuple) else (3, "|", None, None, None, -1)
    if not isinstance(name, str) or len(given) < 6 or given[2] is not None or given[3] is not None:
        raise PickleError("an array of records, which is not read")
    name = name.lstrip("<>|=")
    if name in ("U", "S") and isinstance(given[5], int) and 0 <= given[5] < 1 << 20:
        name += str(given[5] // (4 if name == "U" else 1))  # older numpy keeps the length there
    if not _NUMBERS.fullmatch(name):
        raise PickleError(f"an array of type {name[:20]!r}, which is not read")
    order = given[1] if given[1] in ("<", ">") else "<"
    return np.dtype(object) if name.startswith("O") else np.dtype(order + name)


def encoded(arguments: Any) -> bytes:
    """Bytes that were written as text."""
    if isinstance(arguments, tuple) and arguments and isinstance(arguments[0], (str, bytes)):
        text = arguments[0]
        return text if isinstance(text, bytes) else _latin(text)
    raise PickleError("damaged: no text where bytes were written as text")


def array(state: Any) -> np.ndarray:
    """An array from its state: version, shape, type, order and bytes, or a list for an array of objects."""
    if isinstance(state, tuple) and len(state) == 4:  # before versions were counted
        state = (0, *state)
    _, shape, dtype, fortran, raw = expect(state, 5, "an array")
    size = _size(shape)
    if not isinstance(dtype, np.dtype):
        raise PickleError("damaged: an array of no type")
    if dtype.hasobject:
        if not isinstance(raw, list) or len(raw) != size:
            raise PickleError(f"an array of shape {shape} without as many objects")
        found = np.empty(size, object)
        for place, value in enumerate(raw):
            found[place] = value
    else:
        raw = _latin(raw) if isinstance(raw, str) else raw
        if not isinstance(raw, bytes) or len(raw) != size * dtype.itemsize:
            held = f"{len(raw)} bytes" if isinstance(raw, bytes) else "no bytes"
            raise PickleError(f"an array of shape {shape} and type {dtype} with {held}")
        # A bytearray, so that the array may be written to like any other.
        found = np.frombuffer(bytearray(raw), dtype) if raw else np.empty(size, dtype)
    return found.reshape(shape, order="F" if fortran else "C")


def dense(kind: str, state: Any) -> np.ndarray:
    """A sparse matrix written out. Checks every index: scipy trusts them."""
    if not isinstance(state, dict):
        raise PickleError("a sparse matrix without its contents")
    shape = state.get("_shape", state.get("shape"))
    shape = tuple(int(n) for n in listed(shape)) if _whole_numbers(shape) else None
    if shape is None or len(shape) != 2 or min(shape) < 0:
        raise PickleError("a sparse matrix of no shape")
    if math.prod(shape) > MOST_DENSE:
        raise PickleError(f"a sparse matrix of shape {shape}, too large to write out")
    values = _numbers(state.get("data"), "data", np.number).ravel()
    if kind == "coo":
        rows, columns = state.get("coords") or (state.get("row"), state.get("col"))
        rows, columns = _indices(rows, "row", shape[0]), _indices(columns, "col", shape[1])
    else:
        major, minor = (0, 1) if kind == "csr" else (1, 0)
        ends = _indices(state.get("indptr"), "indptr", len(values) + 1)
        inner = _indices(state.get("indices"), "indices", shape[minor])
        if len(ends) != shape[major] + 1 or ends[0] != 0 or ends[-1] != len(values) or (np.diff(ends) < 0).any():
            raise PickleError("indptr: does not fit a sparse matrix of this shape")
        outer = np.repeat(np.arange(shape[major]), np.diff(ends))
        rows, columns = (outer, inner) if kind == "csr" else (inner, outer)
    if not len(rows) == len(columns) == len(values):
        raise PickleError("a sparse matrix with more places than numbers, or fewer")
    found = np.zeros(shape, values.dtype)
    np.add.at(found, (rows, columns), values)
    return found


def chosen(source: np.ndarray, places: Any) -> np.ndarray:
    """The numbers of an array at these places of it, counted through."""
    return source.ravel()[_indices(places, "idxs", source.size)]


def shaped(source: np.ndarray, shape: Any) -> np.ndarray:
    """The same numbers in another shape."""
    shape = tuple(shape) if isinstance(shape, (list, tuple, np.ndarray)) else (shape,)
    if not _whole_numbers(shape):
        raise PickleError("damaged: a shape that is none")
    try:
        return source.reshape([int(n) for n in shape])
    except ValueError as error:
        raise PickleError(f"{source.size} numbers do not fit the shape {shape}") from error


def turned(source: np.ndarray, axes: Any) -> np.ndarray:
    """The array with its axes exchanged."""
    try:
        return np.ascontiguousarray(np.transpose(source, None if axes is None else [int(n) for n in axes]))
    except (ValueError, TypeError) as error:
        raise PickleError("damaged: axes that the array does not have") from error


def _latin(text: str) -> bytes:
    try:
        return text.encode("latin1")
    except UnicodeEncodeError as error:
        raise PickleError("damaged: text in place of bytes") from error


def _whole_numbers(values: Any) -> bool:
    return isinstance(values, (list, tuple)) and all(
        isinstance(value, (int, np.integer)) and not isinstance(value, bool) for value in values
    )


def _size(shape: Any) -> int:
    if not isinstance(shape, tuple) or not _whole_numbers(shape) or len(shape) > 32 or min(shape, default=0) < 0:
        raise PickleError("damaged: an array of no shape")
    return math.prod(shape)


def _numbers(values: Any, name: str, kind: type) -> np.ndarray:
    if not isinstance(values, np.ndarray) or not np.issubdtype(values.dtype, kind):
        raise PickleError(f"{name}: no array of numbers")
    return values


def _indices(values: Any, name: str, below: int) -> np.ndarray:
    found = _numbers(np.asarray(values) if isinstance(values, list) else values, name, np.integer).ravel()
    if len(found) > MOST_DENSE or (len(found) and (found.min() < 0 or found.max() >= below)):
        raise PickleError(f"{name}: points outside of the array")
    return found.astype(np.int64)
