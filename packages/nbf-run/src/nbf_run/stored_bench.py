"""The bodies that a benchmark measured, as results to look at and to write files of.

A benchmark keeps each body's parameters; its pictures come from the data set again, behind the same patches.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import roma
import torch

from nbf_core.contracts import Occluder
from nbf_core.errors import InputError, NbfError
from nbf_core.types import BodyParams, Camera, Sample, collate
from nbf_run.results import FittedImage, FittedPerson, Posed
from nbf_run.stored import KEYPOINTS, StoredRun

_REGRESSED, _DETECTED = "h36m-17", "openpose-25"


@dataclass(frozen=True)
class BenchRun(StoredRun):
    """One method's bodies under one condition. ``files`` is the one file that all are in."""

    source: _Source | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.source.samples)

    def __getitem__(self, index: int) -> FittedImage:
        return self.source.image(range(len(self))[index])

    @property
    def names(self) -> list[str]:
        """What each result's folder is called."""
        return [f"sample-{sample:06d}" for sample in self.source.samples]

    @property
    def rate(self) -> float | None:
        """Frames a second, where the set is one of films and says so."""
        return self.source.rate

    @property
    def is_film(self) -> bool:
        """Whether the results are frames of films."""
        return self.source.films is not None


def open_bench(path: Path) -> BenchRun:
    """The bodies in a ``result_keypoints.json`` of a benchmark. Raises InputError in one line where it is none."""
    root = next((folder for folder in path.resolve().parents if (folder / "run.json").is_file()), None)
    if root is None:
        raise InputError(f"{path}: lies in no folder of nbf-run bench (no run.json above it)")
    source = _Source(path, root)
    return BenchRun(path.parent, (path,) * len(source.samples), {}, source)


class _Source:
    """A file of bodies, with what the run around it says of them."""

    def __init__(self, path: Path, root: Path) -> None:
        from nbf_run.bench.workshop import Workshop

        self.path, report = path, _read(root / "report.json")
        self.cell, self.method, metric = _place(path, root, report)
        run = _read(root / "run.json")
        table = run["pipeline"]["table"]
        self.workshop = Workshop(str(table.get("name")), [("bench.devices", [])], "cpu", table)
        self.body = self.workshop.body(self.cell["set"])
        self.fitted, self.samples = read_bodies(path)
        reference = next(m.get("reference") for m in self.cell["methods"] if m["name"] == self.method)
        parts = [self.method, *([metric] if metric else [])]
        start = path.parents[len(parts)] / _slug(reference or "") / Path(*map(_slug, parts[1:])) / KEYPOINTS
        self.starts = read_bodies(start)[0] if reference and start.is_file() else {}
        self.rows = _rows(root, self.cell, self.method, metric)
        self.start_rows = _rows(root, self.cell, reference, metric) if reference else {}
        self.films = self.workshop.films(self.cell["set"])
        self.rate = getattr(self.workshop.dataset(self.cell["set"]), "rate", None)
        self.image = lru_cache(maxsize=16)(self._image)

    def _image(self, index: int) -> FittedImage:
        number = self.samples[index]
        sample = self._sample(number)
        camera, spec = sample.camera[0], self.body.spec
        film = next((i for i, frames in enumerate(self.films or ()) if number in frames), None)
        frame = None if film is None else number - self.films[film].start
        picture = sample.image[0].permute(1, 2, 0).numpy().copy()
        return FittedImage(
            name=f"sample-{number:06d}",
            image=picture,
            camera=camera,
            people=(self._person(number, sample, camera, film),),
            faces=spec.faces.numpy(),
            seconds=float(self.rows.get(number, {}).get("seconds") or 0.0),
            vertex_parts=spec.vertex_parts.numpy() if getattr(spec, "vertex_parts", None) is not None else None,
            frame=frame,
        )

    def _sample(self, number: int) -> Sample:
        """The sample as it was measured, collated alone."""
        from nbf_run.bench.plan import Cell
        from nbf_run.bench.views import covered

        name, cell = self.cell["set"], self.cell
        try:
            sample = collate([self.workshop.dataset(name)[number]])
        except Exception as error:  # whatever a data set raises costs that sample only
            raise InputError(f"{self.path}: sample {number} cannot be had again: {error}") from error
        row = self.rows.get(number)
        if row is None or row["patch_x0"] == row["patch_x1"]:
            return sample
        case = next(one for one in self.workshop.protocol(cell["protocol"]).cases if one.name == cell["case"])
        corners = (row[f"patch_{corner}"] for corner in ("x0", "y0", "x1", "y1"))
        what = Cell(name, cell["protocol"], case, (), 0, 0, 0)
        return covered(self.workshop, what, sample, [Occluder(*corners, size=row["patch_size"])])

    def _person(self, number: int, sample: Sample, camera: Camera, film: int | None) -> FittedPerson:
        row, start_row = self.rows.get(number, {}), self.start_rows.get(number, {})
        fitted = self._posed(self.fitted[number], camera)
        start = self._posed(self.starts[number], camera) if number in self.starts else fitted
        known = sample.detected if sample.detected is not None else sample.keypoints
        keypoints = np.zeros((25, 3), np.float32) if known is None else known[0].numpy()
        height, width = camera.size
        square = np.array([0.0, 0.0, width, height])
        values = {name: (start_row.get(name), row.get(name)) for name in ("mpjpe", "pa-mpjpe")}
        return FittedPerson(
            box=square,
            square=square,
            score=1.0,
            keypoints=keypoints,
            keypoint_set=_DETECTED,
            start=start,
            fitted=fitted,
            start_loss=_number(row.get("start_loss")),
            loss=_number(row.get("loss")),
            kept=row.get("kept") is not False,
            silhouette=None,
            occlusion=None,
            track=film,
            errors={name.upper(): pair for name, pair in values.items() if None not in pair},
        )

    def _posed(self, params: BodyParams, camera: Camera) -> Posed:
        with torch.inference_mode():
            body = self.body(params[None])
            points = self.body.keypoints(body, _DETECTED)[0]
            regressed = None
            if _REGRESSED in self.body.spec.keypoint_weights:
                regressed = self.body.keypoints(body, _REGRESSED)[0].numpy()
        keypoints = camera.project(points).numpy()
        return Posed(params, body.vertices[0].numpy(), body.joints[0].numpy(), keypoints, regressed)


def _place(path: Path, root: Path, report: Mapping[str, Any]) -> tuple[Mapping[str, Any], str, str]:
    """The cell, the method and the metric (or nothing) that a file is of, by the names of its folders."""
    parts = path.resolve().parent.relative_to(root).parts[1:]
    for cell in report.get("cells", ()) if len(parts) in (3, 4) else ():
        names = [method["name"] for method in cell["methods"] if _slug(method["name"]) == parts[2]]
        if names and (_slug(cell["set"]), _slug(cell["title"])) == parts[:2]:
            metric = next((m for m in cell["choose"] if _slug(m) == parts[-1]), "") if len(parts) == 4 else ""
            return cell, names[0], metric
    raise InputError(f"{path}: the report of {root} knows no such results; nbf-run report {root} writes it anew")


def read_bodies(path: Path) -> tuple[dict[int, BodyParams], Sequence[int]]:
    """The parameters of each sample, and the samples in their order."""
    content = _read(path)
    try:
        samples = [int(one) for one in content["sample"]]
        turns = roma.rotmat_to_rotvec(torch.tensor(content["poses"], dtype=torch.float64)).float()
        betas, transl = (torch.tensor(content[name], dtype=torch.float32) for name in ("betas", "transl"))
        people = {
            number: BodyParams(turns[i, 0], turns[i, 1:], betas[i], transl[i]) for i, number in enumerate(samples)
        }
    except KeyError as error:
        raise InputError(f"{path}: {error} is missing; nbf-run report writes the file anew") from error
    except (ValueError, TypeError, IndexError, RuntimeError) as error:
        raise InputError(f"{path}: damaged ({' '.join(str(error).split())[:100]})") from error
    return people, samples


def _rows(root: Path, cell: Mapping[str, Any], method: str, metric: str) -> dict[int, dict[str, Any]]:
    """The row of the table that each sample's body is from."""
    from nbf_run.bench.files import TABLE, read_table

    try:
        table = read_table(root / TABLE)
    except NbfError:
        return {}  # pictures without their patches, and no numbers
    found: dict[int, dict[str, Any]] = {}
    for values in zip(*table.values(), strict=True):
        row = dict(zip(table, values, strict=True))
        mine = (row["set"], row["protocol"], row["case"], row["method"])
        chosen = not metric or metric in (row["chosen_by"] or "").split(",")
        if mine == (cell["set"], cell["protocol"], cell["case"], method) and chosen:
            found.setdefault(row["sample"], row)
    return found


def _slug(name: str) -> str:
    from nbf_run.bench.files import slug

    return slug(name)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())[:100]})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: damaged: a JSON object was expected")
    return content
