"""The report of a benchmark as a plain table, and everything that is written beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbf_core.weights import Weights
from nbf_run.bench.answer import answer
from nbf_run.bench.files import TABLE, write_keypoints, write_occluders, write_table
from nbf_run.bench.plan import Plan
from nbf_run.bench.published import column_of, differences, published_beside
from nbf_run.bench.results import CellResult, cell_records, collect
from nbf_run.bench.store import Store
from nbf_run.bench.workshop import Workshop
from nbf_run.jsons import plain, write_json

NOTES = (
    "Joint errors are over the body's 24 joints after moving the pelvis (joint 0) onto the true one, unless a set "
    "says otherwise; vertices alike. 2D errors are over 14 LSP joints from the Human3.6M regressor, the true body's "
    "against the predicted one's, by the head segment from neck to head top.",
    "Numbers are over all joints, hidden ones too; beside them stand those over visible joints, inside the image and "
    "not behind an occluder, where the set tells them.",
    "Intervals: percentile bootstrap of the mean over people. Differences are taken person by person, under the same "
    "patch; p values are two-sided, of a sign test and of Wilcoxon's signed-rank test, not corrected for their number.",
    "Adversarial: for each person and metric the position where the start's value of that metric is worst; every "
    "method with that start meets the same patch, and each metric is reported under its own. Grid: the mean over "
    "positions.",
    "A method that starts at the truth measures drift: how far its objective pulls the true body away.",
)
FILM_NOTE = (
    "In a set of films a person is a film and counts once, with the mean over its frames. The acceleration error "
    "compares second differences over a frame and its two neighbours, so it leaves out the first and the last frame. "
    "A patch stays where it is through a film, unless it is searched for frame by frame."
)


def make_report(workshop: Workshop, plan: Plan, found: Sequence[CellResult]) -> dict[str, Any]:
    """The report; ``complete`` is false where items are missing yet."""
    options = workshop.options
    used = list(dict.fromkeys(cell.set for cell in plan.cells))
    metrics = workshop.metrics(used[0])
    cells = list(cell_records(workshop, found))
    for cell in cells:
        cell["published"] = column_of(options, cell)
    asked = sum(len(plan.cells[item.cell].methods) for item in plan.items)
    done = sum(method.done for result in found for method in result.methods.values())
    return {
        "schema": 2,
        "kind": "bench",
        "name": workshop.base.name,
        "complete": done == asked,
        "done": {"items": done, "of": asked},
        "confidence": options.confidence,
        "notes": [*NOTES, *[FILM_NOTE] * any(workshop.films(name) is not None for name in used)],
        "metrics": {name: {"unit": m.unit, "lower_is_better": m.lower_is_better} for name, m in metrics.items()},
        "answer": answer(workshop, found),
        "sets": [_set(workshop, name) for name in used],
        "protocols": [_protocol(workshop, name) for name in dict.fromkeys(cell.protocol for cell in plan.cells)],
        "methods": [
            {"name": name, **options.methods[name].model_dump(mode="json")}
            for name in dict.fromkeys(name for cell in plan.cells for name in cell.methods)
        ],
        "failed": sum(len(cell["failed"]) for cell in cells),
        "cells": cells,
        "missing": [{"kind": m.kind, "name": m.name, "set": m.set, "reason": m.reason} for m in plan.missing],
        "published": published_beside(workshop),
        "seconds": _seconds(found),
    }


def write_all(out: Path, workshop: Workshop, plan: Plan, store: Store, run: dict[str, Any]) -> dict[str, Any]:
    """Assemble what is finished, write every file of a run, and return the content of ``report.json``."""
    from nbf_run.bench.page import write_page
    from nbf_run.bench.tables import markdown

    found = collect(workshop, plan, store)
    report = make_report(workshop, plan, found)
    report["run"] = run
    write_table(out / TABLE, workshop, found)
    report["files"] = {
        "table": TABLE,
        "keypoints": write_keypoints(out / "results", workshop, found),
        "occluders": write_occluders(out / "occluders", workshop, found),
    }
    report = plain(report)  # what is returned is what is written
    (out / "report.md").write_text(markdown(report), encoding="utf-8")
    report["page"] = write_page(out, report, workshop, found)
    write_json(out / "report.json", report)
    return report


def _set(workshop: Workshop, name: str) -> dict[str, Any]:
    options, pipeline = workshop.options.sets[name], workshop.pipeline(name)
    return {
        "name": name,
        "about": options.about,
        "data": pipeline.section("data").use,
        "films": None if (films := workshop.films(name)) is None else len(films),
        "body": pipeline.section("body").use,
        "samples": len(workshop.dataset(name)),
        "joints": options.joints,
        "visible_only": options.visible_only,
        "published": options.published,
        "differs": differences(workshop, name),
    }


def _protocol(workshop: Workshop, name: str) -> dict[str, Any]:
    options = workshop.options.protocols[name]
    return {
        "name": name,
        "use": options.use or name,
        "about": options.about,
        "options": options.component_config(name).model_dump(mode="json"),
        "positions": options.positions,
        "samples": options.samples,
    }


def _seconds(found: Sequence[CellResult]) -> dict[str, float]:
    """Processor time by what it went into, as measured where it was spent; several processes add up."""
    methods = [method for result in found for method in result.methods.values()]
    return {
        "fits": sum(row.seconds for method in methods for row in method.rows),
        "searches": sum(s.seconds for result in found for searches in result.searches.values() for s in searches),
        "starts": sum(method.looked / len(result.methods) for result in found for method in result.methods.values()),
    }


def weights_of(workshop: Workshop, plan: Plan) -> Weights:
    """The weights of the first method, which is what ``run.json`` names."""
    first = plan.cells[0]
    return workshop.start(first.set, first.methods[0]).weights
