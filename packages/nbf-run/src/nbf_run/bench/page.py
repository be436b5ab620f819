"""The page of a benchmark: one HTML file beside its charts and pictures; needs no server and no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nbf_run import __version__
from nbf_run.bench.cases import TRUTH_COLOUR, where, write_cases
from nbf_run.bench.charts import method_colours, method_seconds, write_charts
from nbf_run.bench.results import CellResult
from nbf_run.bench.tables import (
    joints_of,
    main_metrics,
    measured,
    missing_lines,
    people_words,
    percent,
    quality_table,
    unfinished,
    value_of,
)
from nbf_run.bench.workshop import Workshop
from nbf_run.report import drawing

PAGE = "index.html"
_SERIES = 3
"""A protocol with more cases than this is shown as a chart, its numbers folded away."""


def write_page(out: Path, report: Mapping[str, Any], workshop: Workshop, found: Sequence[CellResult]) -> str:
    """Draw charts and pictures, write the page, and return its name."""
    charts = write_charts(out / "charts", report)
    cases = write_cases(out / "cases", report, workshop, found)
    text = environment().get_template("bench.html.j2").render(
        **heading(report),
        charts=charts,
        banner=banner(report),
        big=_big(report),
        sets=[_set_tables(report, entry) for entry in report["sets"]],
        published=[_published(report, table) for table in report["published"]],
        differences=_differences(report),
        cases=cases,
        metric_name=(report["answer"] or {}).get("metric", "").upper(),
        unit=(report["answer"] or {}).get("unit", ""),
        where=where(report, found),
        colours={
            "start": f"rgb{drawing.START_COLOUR}", "fit": f"rgb{drawing.FIT_COLOUR}", "truth": f"rgb{TRUTH_COLOUR}",
        },
        quality=quality_table(report),
        methods=_methods(report),
        protocols=report["protocols"],
        times=_times(report),
        failures=[(cell["set"], cell["title"], f) for cell in report["cells"] for f in cell["failed"]],
        missing=missing_lines(report["missing"]),
        notes=report["notes"],
        run=report["run"],
        files=report["files"],
        colophon=f"Made by nbf-run {__version__}.",
        percent=percent,
    )  # fmt: skip
    (out / PAGE).write_text(text, encoding="utf-8")
    return PAGE


def environment():
    """Templates of benchmarks, and the style sheet of all pages."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader

    loader = ChoiceLoader([PackageLoader("nbf_run.bench"), PackageLoader("nbf_run.report")])
    return Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)


def heading(report: Mapping[str, Any]) -> dict[str, Any]:
    """The answer as title, and what it rests on below it."""
    answer = report["answer"]
    if not answer:
        return {"title": "Numbers without a comparison", "lede": [], "name": report["name"], "question": ""}
    question = f"Does fitting help under occlusion? {answer['method']} against {answer['against']}"
    question += "" if report["complete"] else ", so far"
    return {
        "title": answer["sentences"][0],
        "lede": answer["sentences"][1:],
        "name": report["name"],
        "question": question,
    }


def banner(report: Mapping[str, Any]) -> list[str]:
    """What a reader must know before any number."""
    said = []
    if not report["complete"]:
        said.append(unfinished(report))
    differs = {tuple(entry["differs"]) for entry in report["sets"] if entry["differs"]}
    if differs:
        names = " and ".join(entry["name"] for entry in report["sets"] if entry["differs"])
        reasons = "; ".join(dict.fromkeys(reason for some in differs for reason in some))
        said.append(f"Numbers on {names} cannot be compared with published ones: {reasons}.")
    return said


def _big(report: Mapping[str, Any]) -> list[dict[str, str]]:
    """The gains at a glance: whole people, and the searched patches."""
    answer = report["answer"]
    gains = [gain for gain in (answer or {}).get("gains", ()) if not gain["series"]] if answer else []
    return [
        {
            "title": gain["title"] if len({g["set"] for g in gains}) == 1 else f"{gain['set']}: {gain['title']}",
            "value": f"{gain['mean']:+.1f} {answer['unit']}".replace("-", "−"),
            "relative": "" if gain["relative"] is None else f"{100 * gain['relative']:+.0f} %".replace("-", "−"),
            "interval": f"{gain['low']:+.1f} to {gain['high']:+.1f}".replace("-", "−"),
            "verdict": gain["verdict"],
            "share": f"{100 * gain['better']:.0f} % of {gain['n']} people better",
        }
        for gain in gains
    ]


def _set_tables(report: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """A set's numbers: rows are methods, columns conditions, a table a metric; series are folded away."""
    cells = [cell for cell in report["cells"] if cell["set"] == entry["name"]]
    counts: dict[str, int] = {}
    for cell in cells:
        counts[cell["protocol"]] = counts.get(cell["protocol"], 0) + 1
    main = [cell for cell in cells if counts[cell["protocol"]] <= _SERIES]
    series = [cell for cell in cells if counts[cell["protocol"]] > _SERIES]
    return {
        **entry,
        "tables": [table for name in main_metrics(report) if (table := _metric_table(report, main, name, 5))],
        "series": [table for name in main_metrics(report) if (table := _metric_table(report, series, name, 99))],
    }


def _metric_table(
    report: Mapping[str, Any], cells: Sequence[Mapping[str, Any]], metric: str, most: int
) -> dict[str, Any] | None:
    cells = [cell for cell in cells if any(value_of(cell, m["name"], metric, "all") for m in cell["methods"])]
    if not cells:
        return None
    lower = report["metrics"][metric]["lower_is_better"]
    rows, colours = [], method_colours(report)
    best = [_best(report, cell, metric, lower) for cell in cells]
    for method in report["methods"]:
        entries = [_entry(report, cell, method["name"], metric) for cell in cells]
        if any(entries):
            for entry, name in zip(entries, best, strict=True):
                if entry:
                    entry["best"] = name == method["name"]
            rows.append({"name": method["name"], "colour": colours[method["name"]], "cells": entries})
    unit = report["metrics"][metric]["unit"]
    return {
        "metric": metric.upper(),
        "unit": unit,
        "better": "lower is better" if lower else "higher is better",
        "heads": [cell["title"] for cell in cells],
        "people": [people_words(cell) for cell in cells],
        "rows": rows,
        "intervals": len(cells) <= most,
    }


def _entry(report: Mapping[str, Any], cell: Mapping[str, Any], method: str, metric: str) -> dict[str, Any] | None:
    which = joints_of(report, cell)
    value = value_of(cell, method, metric, which)
    if value is None:
        return None
    other = value_of(cell, method, metric, "visible" if which == "all" else "all")
    fewer = value["n"] < cell["people"]  # films are people too
    return {
        "mean": f"{value['mean']:.1f}",
        "interval": f"{value['low']:.1f} – {value['high']:.1f}",
        "other": None if other is None else f"{other['mean']:.1f}",
        "n": f"n = {value['n']}" if fewer else "",
    }


def _best(report: Mapping[str, Any], cell: Mapping[str, Any], metric: str, lower: bool) -> str | None:
    """The best method that starts where a user would."""
    starts = {m["name"] for m in report["methods"] if m["start"] == "regressor"}
    known = [
        (value["mean"], m["name"])
        for m in cell["methods"]
        if m["name"] in starts and (value := value_of(cell, m["name"], metric, joints_of(report, cell)))
    ]
    return (min(known) if lower else max(known))[1] if len(known) > 1 else None


def _published(report: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """A published table with this run's rows below it, column under column."""
    rows = []
    comparable = True
    for entry in report["sets"]:
        cells = [cell for cell in report["cells"] if cell["set"] == entry["name"]]
        by_column = {cell["published"]: cell for cell in cells if cell["published"] in table["columns"]}
        if not by_column:
            continue
        comparable = comparable and not entry["differs"]
        for method in report["methods"]:
            values = [
                _cell_numbers(report, by_column.get(c), method["name"], table["metrics"]) for c in table["columns"]
            ]
            if any(values) and method["start"] == "regressor":
                rows.append(
                    {"name": method["name"], "set": entry["name"], "cells": values, "differs": entry["differs"]}
                )
    return {**table, "ours": rows, "comparable": comparable and bool(rows)}


def _cell_numbers(
    report: Mapping[str, Any], cell: Mapping[str, Any] | None, method: str, metrics: Sequence[str]
) -> list[float | None]:
    if cell is None:
        return []
    found = [value_of(cell, method, metric, joints_of(report, cell)) for metric in metrics]
    return [value["mean"] if value else None for value in found] if any(found) else []


def _differences(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every method against its own start, person by person, a table a metric."""
    tables = []
    for metric in main_metrics(report):
        rows = []
        for cell in report["cells"]:
            for method in cell["methods"]:
                value = method.get("against_reference", {}).get(metric, {}).get(joints_of(report, cell))
                if value and value["mean"] is not None:
                    rows.append({**value, "method": method["name"], "against": method["reference"], "cell": cell})
        if rows:
            tables.append({"metric": metric.upper(), "unit": report["metrics"][metric]["unit"], "rows": rows})
    return tables


def _methods(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    colours, trusts = method_colours(report), {}
    for cell in report["cells"]:
        for method in cell["methods"]:
            trusts.setdefault(method["name"], method["trust"])
    return [{**m, "colour": colours[m["name"]], "weight": trusts.get(m["name"])} for m in report["methods"]]


def _times(report: Mapping[str, Any]) -> dict[str, Any]:
    looks = [s["seconds"] for cell in report["cells"] for s in cell["starts"] if s["seconds"]]
    return {
        "methods": method_seconds(report),
        "look": min(looks) if looks else None,
        "total": report["seconds"],
        "wall": report["run"].get("seconds"),
        "measured": sum(len(measured(report, cell, "all")) > 0 for cell in report["cells"]),
    }
