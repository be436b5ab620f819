"""Annotation files of unknown soundness: whatever is wrong with one is an error that names the file and the field."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nbf_core.errors import AssetError, InputError, PluginError
from nbf_datasets.humandata.images import plain_path

MOST_BYTES = 1 << 33
"""How large an annotation file may be."""


_READ_MAT = "import sys; from scipy.io import loadmat; loadmat(sys.argv[1], struct_as_record=False)"
_READ_HDF = "import sys, h5py; file = h5py.File(sys.argv[1]); [file[name][()] for name in sys.argv[2:]]"


class BadSample(Exception):
    """One person cannot be used; the text says why in words that many may share."""


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises AssetError naming it."""
    _present(path)
    try:
        with path.open("rb") as file:
            return json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise AssetError(f"{path}: no JSON, or cut short ({error})") from error


def read_mat(path: Path) -> Mapping[str, Any]:
    """The variables of a MATLAB file, older than 7.3. Raises AssetError naming it."""
    _present(path)
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise missing("scipy") from error
    _survives(_READ_MAT, path)
    try:
        return loadmat(path, struct_as_record=False)
    except Exception as error:  # of a damaged file its parser complains in many ways
        raise AssetError(f"{path}: no MATLAB file, or cut short ({_line(error)})") from error


def read_hdf(path: Path, *names: str) -> dict[str, np.ndarray]:
    """Arrays of a MATLAB file of version 7.3, in the order of dimensions in which HDF5 has them. Raises AssetError."""
    _present(path)
    try:
        import h5py
    except ImportError as error:
        raise missing("h5py") from error
    _survives(_READ_HDF, path, *names)
    try:
        with h5py.File(path, "r") as file:
            return {name: np.asarray(_entry(path, file, name)) for name in names}
    except AssetError:
        raise
    except Exception as error:
        raise AssetError(f"{path}: no MATLAB 7.3 file, or cut short ({_line(error)})") from error


def _survives(reader: str, path: Path, *names: str) -> None:
    """Read a file in a process of its own first: some damage makes compiled readers crash, and Python with them."""
    tried = subprocess.run([sys.executable, "-c", reader, str(path), *names], capture_output=True, check=False)
    if tried.returncode < 0 or tried.returncode > 128:
        raise AssetError(f"{path}: damaged: the library that reads such files crashed on it")


def missing(package: str) -> PluginError:
    """A library that only converting needs is not there."""
    return PluginError(f"{package} is not installed, and this needs it; pip install 'nbf-datasets[convert]'")


def entry(table: Any, name: str, path: Path) -> Any:
    """``table[name]``. Raises AssetError naming file and field."""
    if not isinstance(table, Mapping) or name not in table:
        raise AssetError(f"{path}: {name}: this field is missing")
    return table[name]


def numbers(value: Any, shape: Sequence[int], path: Path, name: str) -> np.ndarray:
    """``value`` as float64 of ``shape``, -1 standing for any length. Raises AssetError naming file and field."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise AssetError(f"{path}: {name}: expected numbers") from error
    if array.ndim != len(shape) or any(want not in (-1, have) for want, have in zip(shape, array.shape, strict=True)):
        wanted = ["n" if side < 0 else side for side in shape]
        raise AssetError(f"{path}: {name}: expected {_list(wanted)}, got {_list(array.shape)}")
    return array


def of_sample(table: Any, name: str, size: int) -> np.ndarray:
    """``size`` numbers of one person, whatever their nesting. Raises BadSample naming the field."""
    if not isinstance(table, Mapping) or table.get(name) is None:
        raise BadSample(f"{name} is missing")
    try:
        array = np.asarray(table[name], dtype=np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadSample(f"{name} is not numbers") from error
    if array.size != size:
        raise BadSample(f"{name} is not {size} numbers")
    return array


def find_file(source: Path, given: Path | None, *usual: str) -> Path:
    """``given`` below ``source``, beside it, or as it stands; otherwise the first of the ``usual`` ones that is there.

    Raises AssetError naming what was looked for.
    """
    wanted = [source / given, source.parent / given, given] if given is not None else [source / one for one in usual]
    for path in wanted:
        if path.exists():
            return path
    raise AssetError(f"{wanted[0]}: no such file" + (f" (nor {', '.join(usual[1:])})" if usual[1:] else ""))


class Images:
    """Which images there are below a folder: each folder is looked into once."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self._names: dict[str, frozenset[str]] = {}

    def names(self, folder: str) -> frozenset[str]:
        """The names in a folder below; none where it is not there."""
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(os.listdir(self.source / folder))
            except OSError:
                self._names[folder] = frozenset()
        return self._names[folder]

    def wrong(self, image: str) -> str:
        """Why this image cannot be used; empty where it is there."""
        try:
            path = plain_path(image)
        except InputError:
            return "image path leaves the folder"
        return "" if path.name in self.names(str(path.parent)) else "no such image"

    def first(self, *images: str) -> str:
        """The first of these that is there, or the first of all."""
        return next((image for image in images if not self.wrong(image)), images[0])

    def numbered(self, folder: str) -> dict[int, str]:
        """The pictures of a folder by the number at the end of their names."""
        found = {}
        for name in sorted(self.names(folder)):
            match = re.search(r"(\d+)\.(?:jpe?g|png)$", name, re.IGNORECASE)
            if match:
                found[int(match.group(1))] = f"{folder}/{name}"
        return found

    def size(self, image: str) -> tuple[int, int]:
        """Width and height. Raises AssetError naming the file."""
        from PIL import Image

        try:
            with Image.open(self.source / plain_path(image)) as opened:
                return opened.size
        except (OSError, ValueError, SyntaxError, InputError, Image.DecompressionBombError) as error:
            raise AssetError(f"{self.source / image}: {_line(error)}") from error


def _entry(path: Path, file: Any, name: str) -> Any:
    if name not in file:
        raise AssetError(f"{path}: {name}: this field is missing")
    return file[name]


def _present(path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise AssetError(f"{path}: no such file") from error
    if size > MOST_BYTES:
        raise AssetError(f"{path}: {size} bytes, more than the {MOST_BYTES} allowed")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _list(values: Sequence[Any]) -> str:
    return "[" + ", ".join(map(str, values)) + "]"
