"""The best and the worst cases of a benchmark as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from nbf_core.types import BodyParams, Camera
from nbf_run.bench.plan import Cell
from nbf_run.bench.results import CellResult, per_person
from nbf_run.bench.store import Row
from nbf_run.bench.views import covered
from nbf_run.bench.workshop import Workshop
from nbf_run.report import drawing

SIDE = 352
"""Pixels of a picture's side."""

TRUTH_COLOUR = (92, 170, 110)


def write_cases(folder: Path, report: Mapping[str, Any], workshop: Workshop, found: Sequence[CellResult]) -> list[Any]:
    """Draw who gained most, who lost most, and whose error stays largest, in the hardest condition of the answer.

    Groups for the page: ``title``, and ``cases`` with errors and pictures ``input``, ``start``, ``fit``, ``truth``.
    """
    count, chosen = workshop.options.pictures, report["answer"]
    result = _hardest(chosen, found)
    if not count or result is None:
        return []
    method, against, metric = chosen["method"], chosen["against"], chosen["metric"]
    which = "visible" if workshop.options.sets[result.cell.set].visible_only else "all"
    ours, theirs = (
        per_person(result.methods[name].rows, result.cell.case.choose).get(metric, {}).get(which, {})
        for name in (method, against)
    )
    sign = 1 if chosen["lower_is_better"] else -1
    shared = [i for i in ours if i in theirs and np.isfinite(ours[i]) and np.isfinite(theirs[i])]
    gain = sorted(shared, key=lambda i: sign * (ours[i] - theirs[i]))
    helped = [i for i in gain if sign * (ours[i] - theirs[i]) < 0][:count]
    harmed = [i for i in reversed(gain) if sign * (ours[i] - theirs[i]) > 0][:count]
    left = sorted(shared, key=lambda i: -sign * ours[i])[:count]
    folder.mkdir(parents=True, exist_ok=True)
    groups = []
    for name, title, people in (
        ("helped", "Helped most", helped),
        ("harmed", "Harmed most", harmed),
        ("left", "Largest error left", left),
    ):
        cases = []
        for number, index in enumerate(people, start=1):
            rows = [_row(result.methods[n].rows, index, metric, result.cell) for n in (against, method)]
            pictures = _draw(workshop, result.cell, index, rows)
            if pictures is None:
                continue
            files = {}
            for kind, picture in pictures.items():
                path = folder / f"{name}-{number}-{kind}.jpg"
                Image.fromarray(picture).save(path, quality=88, subsampling=0)
                files[kind] = f"{folder.name}/{path.name}"
            cases.append({"sample": index, "start": theirs[index], "fit": ours[index], "files": files})
        if cases:
            groups.append({"title": title, "cases": cases})
    return groups


def where(report: Mapping[str, Any], found: Sequence[CellResult]) -> str:
    """The condition that the cases are from."""
    result = _hardest(report["answer"], found)
    return "" if result is None else f"{result.cell.set}, {result.cell.title}"


def _hardest(chosen: Mapping[str, Any] | None, found: Sequence[CellResult]) -> CellResult | None:
    if not chosen:
        return None
    gains = {(gain["set"], gain["title"]) for gain in chosen["gains"]}
    there = [result for result in found if (result.cell.set, result.cell.title) in gains]
    return max(there, key=lambda r: (bool(r.cell.case.choose), r.cell.case.size or 0), default=None)


def _row(rows: Sequence[Row], index: int, metric: str, cell: Cell) -> Row:
    """The row that the metric's value of a person comes from, or the first of several."""
    own = [row for row in rows if row.sample == index]
    return next((row for row in own if metric in row.chosen), own[0]) if cell.case.choose else own[0]


def _draw(
    workshop: Workshop, cell: Cell, index: int, rows: Sequence[Row]
) -> dict[str, UInt8[np.ndarray, "h w 3"]] | None:
    try:
        sample = workshop.dataset(cell.set)[index].map(lambda tensor: tensor[None])
        sample = covered(workshop, cell, sample, [rows[0].occluder])
    except Exception:  # a picture is no reason to lose a report
        return None
    picture = sample.image[0].permute(1, 2, 0).contiguous().numpy()
    picture = np.asarray(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    camera = sample.camera[0].resized((SIDE, SIDE))
    bodies = {
        "start": (_params(rows[0]), drawing.START_COLOUR),
        "fit": (_params(rows[1]), drawing.FIT_COLOUR),
    }
    if sample.params is not None:
        bodies["truth"] = (sample.params, TRUTH_COLOUR)
    drawn = {"input": picture}
    for kind, (params, colour) in bodies.items():
        drawn[kind] = _over(workshop, cell, picture, params, camera, colour)
    return drawn


def _over(
    workshop: Workshop,
    cell: Cell,
    picture: UInt8[np.ndarray, "h w 3"],
    params: BodyParams,
    camera: Camera,
    colour: tuple[int, int, int],
) -> UInt8[np.ndarray, "h w 3"]:
    body = workshop.body(cell.set)
    with torch.inference_mode():
        vertices = body(params.to(workshop.device)).vertices[0].cpu().numpy()
    return drawing.over(picture, drawing.shade_body(vertices, body.spec.faces.cpu().numpy(), camera, colour))


def _params(row: Row) -> BodyParams:
    names = ("global_orient", "body_pose", "betas", "transl")
    return BodyParams(**{name: torch.from_numpy(np.array(row.arrays[name]))[None] for name in names})
