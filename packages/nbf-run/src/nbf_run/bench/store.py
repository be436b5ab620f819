"""Results on the disk: a file for what is finished at once, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nbf_core.contracts import Occluder

FOLDER = "samples"
"""The folder of a run's finished results."""


@dataclass(frozen=True)
class Row:
    """One person under one occluder by one method.

    ``values`` by metric and joints ("all", "visible"); ``chosen`` the metrics that chose the occluder; ``losses`` the
    fitter's, at start and end; ``seconds`` the fit's. ``arrays`` holds ``global_orient`` [3], ``body_pose`` [j, 3],
    ``betas``, ``transl`` [3] and, where the body knows them, ``keypoints3d`` [17, 3] (Human3.6M's, metres).
    """

    sample: int
    occluder: Occluder
    chosen: tuple[str, ...]
    values: Mapping[str, Mapping[str, float]]
    seconds: float
    kept: bool | None = None
    losses: tuple[float, float] | None = None
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Shard:
    """What a method gave for the people of one item.

    ``failed`` holds samples and reasons; ``quality`` counts the features' correspondences; ``looked`` are the seconds
    that the regressor took for the ``views`` pictures of the item.
    """

    rows: tuple[Row, ...]
    failed: tuple[tuple[int, str], ...] = ()
    quality: Mapping[str, float] = field(default_factory=dict)
    looked: float = 0.0
    views: int = 0


@dataclass(frozen=True)
class Search:
    """What a search found for the people of one item.

    ``values[metric]`` holds a value for each person and candidate, NaN where a person has fewer candidates or failed;
    ``best[metric]`` the index of the worst occluder for each.
    """

    samples: tuple[int, ...]
    values: Mapping[str, np.ndarray]
    best: Mapping[str, np.ndarray]
    seconds: float = 0.0
    failed: tuple[tuple[int, str], ...] = ()


class Store:
    """A folder of results, by key and first sample."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str, first: int) -> Path:
        """Where results lie."""
        return self.root / key / f"{first:06d}.safetensors"

    def has(self, key: str, first: int) -> bool:
        """Whether they are finished."""
        return self.path(key, first).is_file()

    def forget_failures(self, key: str) -> None:
        """Drop the shards in which a sample failed: whatever it was may have been mended."""
        for path in (self.root / key).glob("*.safetensors"):
            found = self._get(key, int(path.stem))
            if found is not None and found[0]["failed"]:
                path.unlink()

    def describe(self, key: str, what: Mapping[str, Any]) -> None:
        """Say in words what a key's results are."""
        path = self.root / key / "about.json"
        if not path.is_file():
            _write(path, (json.dumps(dict(what), indent=2) + "\n").encode())

    def put(self, key: str, first: int, shard: Shard) -> None:
        """Write a shard."""
        head = asdict(shard)
        for row in head["rows"]:
            row.pop("arrays")
        names = {name for row in shard.rows for name in row.arrays}
        arrays = {name: np.stack([row.arrays[name] for row in shard.rows]) for name in sorted(names)}
        self._put(key, first, head, arrays)

    def get(self, key: str, first: int) -> Shard | None:
        """A shard; None where there is none, or one that cannot be read."""
        found = self._get(key, first)
        if found is None:
            return None
        head, arrays = found
        rows = tuple(
            Row(
                sample=row["sample"],
                occluder=Occluder(**{key: _tuple(value) for key, value in row["occluder"].items()}),
                chosen=tuple(row["chosen"]),
                values=row["values"],
                seconds=row["seconds"],
                kept=row["kept"],
                losses=row["losses"] and tuple(row["losses"]),
                arrays={name: values[i] for name, values in arrays.items()},
            )
            for i, row in enumerate(head["rows"])
        )
        failed = tuple((index, reason) for index, reason in head["failed"])
        return Shard(rows, failed, head["quality"], head["looked"], head["views"])

    def put_search(self, key: str, first: int, search: Search) -> None:
        """Write a search."""
        arrays = {f"values.{name}": value for name, value in search.values.items()}
        arrays |= {f"best.{name}": value for name, value in search.best.items()}
        head = {"samples": search.samples, "seconds": search.seconds, "failed": search.failed}
        self._put(key, first, head, arrays)

    def get_search(self, key: str, first: int) -> Search | None:
        """A search, as :meth:`get`."""
        found = self._get(key, first)
        if found is None:
            return None
        head, arrays = found
        parts = {
            part: {name.removeprefix(part): array for name, array in arrays.items() if name.startswith(part)}
            for part in ("values.", "best.")
        }
        failed = tuple((index, reason) for index, reason in head["failed"])
        return Search(tuple(head["samples"]), parts["values."], parts["best."], head["seconds"], failed)

    def _put(self, key: str, first: int, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        from safetensors.numpy import save

        contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
        # NaN and infinities stand in the text as Python writes and reads them: it is nobody else's to read.
        _write(self.path(key, first), save(contiguous, {"bench": json.dumps(head)}))

    def _get(self, key: str, first: int) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        from safetensors import SafetensorError, safe_open

        path = self.path(key, first)
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="np") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
                return json.loads((file.metadata() or {})["bench"]), arrays
        except (SafetensorError, OSError, ValueError, KeyError):
            path.unlink(missing_ok=True)  # damaged from outside: it is made again
            return None


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _write(path: Path, content: bytes) -> None:
    """All or nothing: a kill at any moment leaves the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
