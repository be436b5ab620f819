"""Lists of chosen occluders as the published implementation writes them.

``result_occ_info_METRIC.json`` is an object of lists, all of one length, an entry an image in the order of its data
set: ``occ_idx`` [row, column] of the grid, ``occ_size`` and ``occ_stride`` on the reference grid of 224 px,
``occ_idx_argmax`` the number of the cell (row by row), and where known ``texture_file`` and ``texture_crop_tl``, the
picture that the patch was cut from and its corner there (taken to be row before column). Written here as well, for
readers and for sets with gaps: ``index`` (null: nothing was looked for), ``name`` and ``value``.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nbf_core.contracts import Chosen, Occluder
from nbf_core.errors import AssetError, InputError
from nbf_datasets.occlusion.places import NOTHING, at_cell, steps
from nbf_datasets.patches import REFERENCE

NEEDED = ("occ_idx", "occ_size", "occ_stride")


@dataclass(frozen=True)
class Entry:
    """One image of a list. ``texture`` and ``corner`` are None where the list does not tell them."""

    cell: tuple[int, int]
    size: float
    stride: float
    texture: str | None = None
    corner: tuple[int, int] | None = None

    def on(self, image_size: tuple[int, int]) -> Occluder:
        """The occluder in an image of (height, width)."""
        if not self.size:
            return NOTHING
        place = at_cell(self.cell, self.size, self.stride, image_size)
        return replace(place, texture=self.texture, texture_corner=self.corner)


def file_name(metric: str) -> str:
    """The published name of the list that a metric chose."""
    return f"result_occ_info_{metric}.json"


def read_occluders(path: str | Path) -> list[Entry | None]:
    """The entries of a list, None where nothing was looked for. Raises AssetError naming the file and the key."""
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise AssetError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # no JSON, or no text
        raise AssetError(f"{path}: not a list of occluders: {error}") from error
    if not isinstance(table, dict):
        raise AssetError(f"{path}: expected an object of lists, got {type(table).__name__}")
    for key in NEEDED:
        if key not in table:
            raise AssetError(f"{path}: {key}: this key is missing")
    count = len(table["occ_idx"]) if isinstance(table["occ_idx"], list) else 0
    for key in (*NEEDED, "texture_file", "texture_crop_tl", "index"):
        if key in table and not isinstance(table[key], list):
            raise AssetError(f"{path}: {key}: expected a list, got {type(table[key]).__name__}")
        if key in table and len(table[key]) != count:
            raise AssetError(f"{path}: {key}: expected {count} entries as in occ_idx, got {len(table[key])}")
    return [_entry(path, table, i) for i in range(count)]


def write_occluders(folder: str | Path, metric: str, chosen: Mapping[int, Chosen], names: Mapping[int, str]) -> Path:
    """Write what was chosen, by sample index, and return the file; it is replaced at once or not at all.

    Raises InputError for an occluder that lies on no grid.
    """
    rows = [_row(index, chosen.get(index), names.get(index)) for index in range(max(chosen, default=-1) + 1)]
    keys = ["occ_idx_argmax", *NEEDED, "index", "name", "value"]
    if rows and all(row.get("texture_file") and row.get("texture_crop_tl") for row in rows):
        keys[4:4] = ["texture_file", "texture_crop_tl"]
    table = {key: [row[key] for row in rows] for key in keys}
    path = Path(folder) / file_name(metric)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_text(json.dumps(table, allow_nan=False), encoding="utf-8")
    os.replace(partial, path)
    return path


def _row(index: int, chosen: Chosen | None, name: str | None) -> dict[str, Any]:
    if chosen is None:
        none = {"occ_idx_argmax": 0, "occ_idx": [0, 0], "occ_size": 0, "occ_stride": 0}
        return none | {"index": None, "name": None, "value": None}
    occluder = chosen.occluder
    if occluder.cell is None or occluder.stride is None:
        raise InputError(f"sample {index}: its occluder lies on no grid, so no list can hold it")
    row, column = occluder.cell
    return {
        "occ_idx_argmax": row * steps(occluder.size, occluder.stride) + column,
        "occ_idx": [row, column],
        "occ_size": _short(occluder.size),
        "occ_stride": _short(occluder.stride),
        "index": index,
        "name": name,
        "texture_file": occluder.texture,
        "texture_crop_tl": list(occluder.texture_corner) if occluder.texture_corner else None,
        "value": chosen.value if math.isfinite(chosen.value) else None,
    }


def _short(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _entry(path: str | Path, table: dict[str, list], i: int) -> Entry | None:
    if "index" in table and table["index"][i] is None:
        return None

    def check(key: str, good: Callable[[Any], bool], wanted: str) -> Any:
        value = table[key][i]
        if not good(value):
            raise AssetError(f"{path}: {key}[{i}]: expected {wanted}, got {value!r}")
        return value

    cell = check("occ_idx", _is_pair, "[row, column]")
    size = check("occ_size", lambda v: _is_number(v) and 0 <= v <= REFERENCE, f"a number from 0 to {REFERENCE}")
    stride = check("occ_stride", lambda v: _is_number(v) and (v >= 1 or (v == 0 and size == 0)), "a number from 1")
    if size:
        count = steps(size, stride)
        check(
            "occ_idx",
            lambda v: max(v) < count,
            f"numbers below the {count} positions of size {size} and stride {stride}",
        )
    texture = (
        check("texture_file", lambda v: v is None or isinstance(v, str), "text") if "texture_file" in table else None
    )
    corner = table.get("texture_crop_tl") and check(
        "texture_crop_tl", lambda v: v is None or _is_pair(v), "[row, column]"
    )
    return Entry((cell[0], cell[1]), size, stride, texture, (corner[0], corner[1]) if corner else None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(v) is int and v >= 0 for v in value)
