"""The files of a benchmark that others read: a table of all rows, keypoints as published, lists of occluders."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nbf_core.contracts import Chosen, WritesOccluders
from nbf_core.errors import AssetError, NbfError
from nbf_run.bench.results import CellResult
from nbf_run.bench.store import Row
from nbf_run.bench.workshop import Workshop

TABLE = "samples.parquet"
_WORDS = ("set", "protocol", "case", "method", "chosen_by")
_WHOLE = ("sample", "person", "patch_x0", "patch_y0", "patch_x1", "patch_y1")


def write_table(path: Path, workshop: Workshop, found: Sequence[CellResult]) -> None:
    """All rows as Parquet: a person under one occluder by one method.

    ``chosen_by`` names the metrics that chose the occluder (comma between; empty where a person counts with the mean
    over all rows). ``patch_*`` are pixels of the image, ``patch_size`` the reference grid's. Metrics have columns
    ``NAME`` and ``NAME_visible``. ``person`` is the sample, or the first one of its film. What is not known is null.
    """
    from arro3.core import Array, DataType, Table
    from arro3.io import write_parquet

    rows = [
        _flat(result, name, row, workshop.person_of(result.cell.set)(row.sample))
        for result in found
        for name, method in result.methods.items()
        for row in method.rows
    ]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    types = {
        **dict.fromkeys(_WORDS, DataType.utf8()),
        **dict.fromkeys(_WHOLE, DataType.int64()),
        "kept": DataType.bool(),
    }
    data = {key: Array([_known(row.get(key)) for row in rows], types.get(key, DataType.float64())) for key in columns}
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    write_parquet(Table.from_pydict(data), str(partial), compression="zstd(3)")
    partial.replace(path)


def read_table(path: Path) -> dict[str, list[Any]]:
    """The columns of such a file. Raises AssetError where it is none."""
    from arro3.io import read_parquet

    try:
        table = read_parquet(str(path)).read_all()
        return {name: table.column(name).to_pylist() for name in table.schema.names}
    except Exception as error:  # the library's errors have no common base
        raise AssetError(f"{path}: cannot be read as a table of results: {error}") from error


def _flat(result: CellResult, method: str, row: Row, person: int) -> dict[str, Any]:
    cell, place = result.cell, row.occluder
    flat = {
        "set": cell.set, "protocol": cell.protocol, "case": cell.case.name, "method": method, "sample": row.sample,
        "person": person,
        "patch_x0": place.x0, "patch_y0": place.y0, "patch_x1": place.x1, "patch_y1": place.y1,
        "patch_size": float(place.size), "chosen_by": ",".join(row.chosen),
    }  # fmt: skip
    for metric, sets in row.values.items():
        for joints, value in sets.items():
            flat[metric if joints == "all" else f"{metric}_{joints}"] = value
    start, end = row.losses or (None, None)
    return flat | {"kept": row.kept, "start_loss": start, "loss": end, "seconds": row.seconds}


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def write_keypoints(folder: Path, workshop: Workshop, found: Sequence[CellResult]) -> dict[str, str]:
    """``result_keypoints.json`` of every method in every cell, in folders SET/CELL/METHOD; their paths by the three.

    The layout is MMHuman3D's, an object of lists in the order of the samples: ``keypoints`` (the 17 of the Human3.6M
    regressor, metres, camera coordinates), ``poses`` (a rotation matrix for each joint, the root's first), ``betas``,
    and beside them ``transl``, ``image_path`` and ``sample``. Where each metric chose an occluder of its own, it has a
    file of its own in a folder of its name.
    """
    paths = {}
    for result in found:
        for name, method in result.methods.items():
            for metric in result.cell.case.choose or ("",):
                rows = _chosen_rows(method.rows, metric)
                if not rows:
                    continue
                parts = [slug(part) for part in (result.cell.set, result.cell.title, name, metric) if part]
                target = folder.joinpath(*parts) / "result_keypoints.json"
                target.parent.mkdir(parents=True, exist_ok=True)
                _dump(target, _keypoints(workshop, result.cell.set, rows))
                paths["/".join(parts)] = str(target.relative_to(folder.parent))
    return paths


def _chosen_rows(rows: Sequence[Row], metric: str) -> list[Row]:
    """One row a person, in the order of the samples: the one that the metric chose, or the first."""
    first: dict[int, Row] = {}
    for row in rows:
        if not metric or metric in row.chosen:
            first.setdefault(row.sample, row)
    return [first[sample] for sample in sorted(first)]


def _keypoints(workshop: Workshop, set_name: str, rows: Sequence[Row]) -> dict[str, Any]:
    import roma
    import torch

    pose = np.stack([np.concatenate([row.arrays["global_orient"][None], row.arrays["body_pose"]]) for row in rows])
    matrices = roma.rotvec_to_rotmat(torch.from_numpy(pose)).numpy()
    regressed = [row.arrays["keypoints3d"] for row in rows if "keypoints3d" in row.arrays]
    return {
        "keypoints": _rounded(np.stack(regressed)) if len(regressed) == len(rows) else [],
        "poses": _rounded(matrices),
        "betas": _rounded(np.stack([row.arrays["betas"] for row in rows])),
        "transl": _rounded(np.stack([row.arrays["transl"] for row in rows])),
        "image_path": [sample_name(workshop, set_name, row.sample) for row in rows],
        "sample": [row.sample for row in rows],
    }


def _rounded(values: np.ndarray) -> list[Any]:
    return np.round(np.nan_to_num(values.astype(float)), 6).tolist()


def sample_name(workshop: Workshop, set_name: str, index: int) -> str:
    """What a data set calls a sample; its number where it has no name for it."""
    describe = getattr(workshop.dataset(set_name), "describe", None)
    return str(describe(index)) if callable(describe) else f"{set_name}/{index}"


def write_occluders(folder: Path, workshop: Workshop, found: Sequence[CellResult]) -> list[str]:
    """The lists of chosen occluders, in folders SET/CELL (and START where there are several); those written."""
    written = []
    for result in found:
        protocol = workshop.protocol(result.cell.protocol)
        if not result.searches or not isinstance(protocol, WritesOccluders):
            continue
        names = {i: sample_name(workshop, result.cell.set, i) for i in range(result.cell.people)}
        starts = {workshop.start_key(result.cell.set, name): method for name, method in result.methods.items()}
        for key, method in starts.items():
            home = folder / slug(result.cell.set) / slug(result.cell.title)
            home = home / key if len(starts) > 1 else home
            for metric in result.cell.case.choose:
                chosen = _chosen(method.rows, metric)
                if not chosen:
                    continue
                try:
                    path = protocol.write(home, result.cell.case, metric, chosen, names)
                except NbfError:
                    continue  # occluders that lie on no grid have no list
                written.append(str(path.relative_to(folder.parent)))
    return written


def _chosen(rows: Sequence[Row], metric: str) -> Mapping[int, Chosen]:
    return {
        row.sample: Chosen(row.occluder, row.values[metric]["all"])
        for row in rows
        if metric in row.chosen and metric in row.values
    }


def slug(name: str) -> str:
    """A folder's name out of any name."""
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.") or "unnamed"


def _dump(path: Path, value: Any) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")
    partial.replace(path)
