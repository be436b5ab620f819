"""From finished items to the report: a number for every person, their summaries and comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nbf_core.contracts import Metric
from nbf_run.bench.paired import compare, summarise
from nbf_run.bench.plan import Cell, Plan, search_key, shard_key
from nbf_run.bench.store import Row, Search, Store
from nbf_run.bench.workshop import Workshop
from nbf_run.quality import QualityMeter

Values = Mapping[str, Mapping[str, Mapping[int, float]]]
"""By metric, joints ("all", "visible") and sample."""


@dataclass
class MethodResult:
    """A method in a cell: all rows, failures by sample, and the counts of its start."""

    rows: list[Row] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    meter: QualityMeter = field(default_factory=QualityMeter)
    looked: float = 0.0
    views: int = 0
    done: int = 0  # items


@dataclass
class CellResult:
    """A cell: results by method, and what was searched, by start."""

    cell: Cell
    methods: dict[str, MethodResult]
    searches: dict[str, list[Search]] = field(default_factory=dict)


def collect(workshop: Workshop, plan: Plan, store: Store) -> list[CellResult]:
    """Read what is finished."""
    found = [CellResult(cell, {name: MethodResult() for name in cell.methods}) for cell in plan.cells]
    keys = [{name: shard_key(workshop, cell, name) for name in cell.methods} for cell in plan.cells]
    for item in plan.items:
        result = found[item.cell]
        for name, method in result.methods.items():
            shard = store.get(keys[item.cell][name], item.first)
            if shard is None:
                continue
            method.rows += shard.rows
            method.failed.update(shard.failed)
            method.meter.add(shard.quality)
            method.looked += shard.looked
            method.views += shard.views
            method.done += 1
        if result.cell.case.choose:
            for key, start in {
                search_key(workshop, result.cell, name): workshop.start_key(result.cell.set, name)
                for name in result.methods
            }.items():
                search = store.get_search(key, item.first)
                if search is not None:
                    result.searches.setdefault(start, []).append(search)
    return found


def per_person(
    rows: Sequence[Row], choose: Sequence[str], person: Callable[[int], int] = int
) -> dict[str, dict[str, dict[int, float]]]:
    """A person's value of every metric: under the occluder that this metric chose, else the mean over all of them.

    ``person`` tells who a sample is; whoever is several samples (a film's frames) counts with the mean of those whose
    value is a number.
    """
    gathered: dict[str, dict[str, dict[int, list[float]]]] = {}
    for row in rows:
        for metric, sets in row.values.items():
            if choose and metric not in row.chosen:
                continue
            for joints, value in sets.items():
                gathered.setdefault(metric, {}).setdefault(joints, {}).setdefault(row.sample, []).append(value)
    return {
        metric: {
            joints: joined({sample: float(np.mean(values)) for sample, values in people.items()}, person)
            for joints, people in sets.items()
        }
        for metric, sets in gathered.items()
    }


def joined(samples: Mapping[int, float], person: Callable[[int], int]) -> dict[int, float]:
    """The values of samples as those of people."""
    people: dict[int, list[float]] = {}
    for sample, value in samples.items():
        people.setdefault(person(sample), []).append(value)
    known = {who: [value for value in values if np.isfinite(value)] for who, values in people.items()}
    return {who: float(np.mean(values)) if values else float("nan") for who, values in known.items()}


def reference_of(workshop: Workshop, cell: Cell, method: str) -> str | None:
    """The method that takes as it is what ``method`` starts with; None for itself and for starts at the truth."""
    options = workshop.options.methods
    if options[method].start != "regressor" or not options[method].fit:
        return None
    own = workshop.start_key(cell.set, method)
    plain = (n for n in cell.methods if not options[n].fit and options[n].start == "regressor")
    return next((name for name in plain if workshop.start_key(cell.set, name) == own), None)


def cell_records(workshop: Workshop, found: Sequence[CellResult]) -> Iterator[dict[str, Any]]:
    """The part of the report that has the numbers."""
    for result in found:
        yield _cell(workshop, result)


def _cell(workshop: Workshop, result: CellResult) -> dict[str, Any]:
    cell, options = result.cell, workshop.options
    settings = (options.confidence, options.resamples, workshop.base.seed)
    person, films = workshop.person_of(cell.set), workshop.films(cell.set)
    values = {name: per_person(method.rows, cell.case.choose, person) for name, method in result.methods.items()}
    samples = [{row.sample for row in method.rows} for method in result.methods.values()]
    metrics = workshop.metrics(cell.set)
    methods = []
    for name, method in result.methods.items():
        entry = _method(workshop, cell, name, method)
        entry["metrics"] = {
            metric: {joints: summarise(list(people.values()), *settings) for joints, people in sets.items()}
            for metric, sets in values[name].items()
        }
        reference = reference_of(workshop, cell, name)
        entry["reference"] = reference
        if reference is not None:
            entry["against_reference"] = _against(values[name], values[reference], metrics, settings)
        methods.append(entry)
    failed = {index: reason for method in result.methods.values() for index, reason in method.failed.items()}
    return {
        "set": cell.set,
        "protocol": cell.protocol,
        "case": cell.case.name,
        "title": cell.title,
        "size": cell.case.size,
        "choose": list(cell.case.choose),
        "candidates": cell.candidates,
        "people": max((len({person(sample) for sample in some}) for some in samples), default=0),
        "frames": None if films is None else max(map(len, samples), default=0),
        "asked": cell.people,
        "failed": [{"sample": index, "reason": reason} for index, reason in sorted(failed.items())],
        "starts": _starts(workshop, result),
        "methods": methods,
    }


def _method(workshop: Workshop, cell: Cell, name: str, method: MethodResult) -> dict[str, Any]:
    options = workshop.options.methods[name]
    kept = [row.kept for row in method.rows if row.kept is not None]
    return {
        "name": name,
        "results": shard_key(workshop, cell, name),
        "start": workshop.start_key(cell.set, name),
        "trust": workshop.trust(cell.set, name) if options.fit else None,
        "seconds": float(np.median([row.seconds for row in method.rows])) if method.rows else None,
        "fits": len(method.rows) if options.fit else 0,
        "kept": float(np.mean(kept)) if kept else None,
        "failed": [{"sample": index, "reason": reason} for index, reason in sorted(method.failed.items())],
    }


def _starts(workshop: Workshop, result: CellResult) -> list[dict[str, Any]]:
    """What is known of each start: its correspondences, its time, and how its error depends on the patch's place."""
    cell, found = result.cell, {}
    for name, method in result.methods.items():
        key = workshop.start_key(cell.set, name)
        if key in found or not method.done:
            continue
        searches = result.searches.get(key, [])
        found[key] = {
            "key": key,
            "methods": [n for n in cell.methods if workshop.start_key(cell.set, n) == key],
            "correspondence": method.meter.result(),
            "seconds": method.looked / method.views if method.views else None,
            "search_seconds": sum(search.seconds for search in searches),
            "places": {metric: _places(searches, metric) for metric in cell.case.choose} if searches else {},
        }
    return list(found.values())


def _places(searches: Sequence[Search], metric: str) -> list[float | None]:
    """The start's mean value under each candidate."""
    tables = [search.values[metric] for search in searches if metric in search.values]
    if not tables:
        return []
    width = max(table.shape[1] for table in tables)
    joined = np.concatenate([np.pad(t, ((0, 0), (0, width - t.shape[1])), constant_values=np.nan) for t in tables])
    known = np.isfinite(joined)
    totals = np.where(known, joined, 0).sum(0)
    return [float(total / count) if count else None for total, count in zip(totals, known.sum(0), strict=True)]


def _against(
    ours: Values, theirs: Values, metrics: Mapping[str, Metric], settings: tuple[float, int, int]
) -> dict[str, dict[str, Any]]:
    return {
        metric: {
            joints: compare(people, theirs[metric][joints], metrics[metric].lower_is_better, settings)
            for joints, people in sets.items()
            if joints in theirs.get(metric, {})
        }
        for metric, sets in ours.items()
    }
