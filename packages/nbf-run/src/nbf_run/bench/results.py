"""What a benchmark found: rows per person, the report made of them, and its files."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nbf_core.contracts import Metric
from nbf_run.bench.config import BenchOptions, CaseOptions, MethodOptions
from nbf_run.bench.summary import compare, summarise
from nbf_run.jsons import plain, write_json

NOTES = (
    "3D: the body's 24 joints, centred on the pelvis (joint 0); vertices alike. 2D: 14 LSP joints from the "
    "Human3.6M regressor, the true body's against the predicted one's, head segment neck to head top.",
    "all: every joint; visible: those inside the image and not behind an occluder. Intervals: percentile "
    "bootstrap of the mean over people.",
    "A patch lies at one place per image, not at the worst one. Joint centres are the body model's own: with "
    "the free body the numbers do not compare with 3DPW's.",
    "A method that starts at the truth measures drift: how far its objective pulls the true body away.",
)


@dataclass(frozen=True)
class Row:
    """One person by one method. ``values`` by (metric, "all" or "visible"); ``losses``: start and end."""

    method: str
    index: int
    seconds: float
    kept: bool | None
    losses: tuple[float, float] | None
    values: Mapping[tuple[str, str], float]


@dataclass
class Result:
    """A case: rows, the samples that failed with their reasons, and the features' correspondence quality."""

    case: CaseOptions
    rows: list[Row] = field(default_factory=list)
    failed: list[tuple[int, str]] = field(default_factory=list)
    quality: dict[str, float | None] = field(default_factory=dict)
    regressor_seconds: float | None = None


def assemble(
    options: BenchOptions,
    results: Sequence[Result],
    metrics: Mapping[str, Metric],
    trusts: Mapping[str, float],
    seed: int,
) -> dict[str, Any]:
    """The report: per case the quality, the failures, and per method the summary of every metric."""
    table = {name: {"unit": m.unit, "lower_is_better": m.lower_is_better} for name, m in metrics.items()}
    return {
        "schema": 1,
        "kind": "bench",
        "samples": options.samples,
        "confidence": options.confidence,
        "notes": list(NOTES),
        "metrics": table,
        "reference": _reference(options),
        "failed": sum(len(result.failed) for result in results),
        "cases": [_case(options, result, metrics, trusts, seed) for result in results],
    }


def _reference(options: BenchOptions) -> str | None:
    """The method that the others are compared with: the first that takes the regressor's start as it is."""
    plain_starts = (m.name for m in options.methods if not m.fit and m.start == "regressor")
    return next(plain_starts, None)


def _case(
    options: BenchOptions,
    result: Result,
    metrics: Mapping[str, Metric],
    trusts: Mapping[str, float],
    seed: int,
) -> dict[str, Any]:
    by_method = {m.name: [row for row in result.rows if row.method == m.name] for m in options.methods}
    reference = by_method.get(_reference(options) or "", [])
    methods = []
    for method in options.methods:
        rows = by_method[method.name]
        entry = _method(method, rows, trusts[method.name])
        entry["metrics"] = _metrics(rows, options, seed)
        if reference and rows is not reference and method.start == "regressor":
            entry["against_reference"] = _against(rows, reference, metrics, options, seed)
        methods.append(entry)
    return {
        "name": result.case.name,
        "set": result.case.set,
        "people": len({row.index for row in result.rows}),
        "failed": [{"sample": index, "reason": reason} for index, reason in sorted(result.failed)],
        "correspondence": result.quality,
        "regressor_seconds": result.regressor_seconds,
        "methods": methods,
    }


def _method(method: MethodOptions, rows: Sequence[Row], trust: float) -> dict[str, Any]:
    kept = [row.kept for row in rows if row.kept is not None]
    return {
        "name": method.name,
        "fit": method.fit,
        "start": method.start,
        "keypoints": method.keypoints,
        "trust": trust if method.fit else None,
        "set": method.set,
        "seconds": float(np.median([row.seconds for row in rows])) if rows else None,
        "kept": float(np.mean(kept)) if kept else None,
    }


def _metrics(rows: Sequence[Row], options: BenchOptions, seed: int) -> dict[str, dict[str, Any]]:
    summary: dict[str, dict[str, Any]] = {}
    for name, which in _columns(rows):
        values = [row.values[name, which] for row in rows if (name, which) in row.values]
        found = summarise(values, options.confidence, options.resamples, seed)
        summary.setdefault(name, {})[which] = found
    return summary


def _against(
    rows: Sequence[Row],
    reference: Sequence[Row],
    metrics: Mapping[str, Metric],
    options: BenchOptions,
    seed: int,
) -> dict[str, dict[str, Any]]:
    summary: dict[str, dict[str, Any]] = {}
    for key in _columns(rows):
        ours, theirs = ({row.index: row.values[key] for row in some if key in row.values} for some in (rows, reference))
        settings = (options.confidence, options.resamples, seed)
        difference = compare(ours, theirs, metrics[key[0]].lower_is_better, settings)
        summary.setdefault(key[0], {})[key[1]] = difference
    return summary


def _columns(rows: Sequence[Row]) -> list[tuple[str, str]]:
    return list(dict.fromkeys(key for row in rows for key in row.values))


def write_report(out: Path, report: dict[str, Any], results: Sequence[Result]) -> None:
    """Write ``report.json``, ``samples.csv``, ``report.md`` and ``chart.png``."""
    from nbf_run.bench.chart import write_chart
    from nbf_run.bench.tables import markdown

    write_json(out / "report.json", report)
    report.update(plain(report))  # what is returned is what was written
    _write_samples(out / "samples.csv", results)
    (out / "report.md").write_text(markdown(report), encoding="utf-8")
    write_chart(out / "chart.png", report)


def _write_samples(path: Path, results: Sequence[Result]) -> None:
    columns = _columns([row for result in results for row in result.rows])
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = [f"{name} {which}" for name, which in columns]
        writer.writerow(["case", "method", "sample", "kept", "seconds", "start_loss", "loss", *names])
        for result in results:
            for row in result.rows:
                kept = "" if row.kept is None else int(row.kept)
                values = [_number(row.values.get(column)) for column in columns]
                losses = [_number(loss) for loss in row.losses or (None, None)]
                head = [result.case.name, row.method, row.index, kept, f"{row.seconds:.4f}"]
                writer.writerow([*head, *losses, *values])


def _number(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.4f}"
