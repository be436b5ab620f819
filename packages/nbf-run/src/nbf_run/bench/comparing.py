"""Runs against one another, person by person: ``nbf-run report A B``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbf_core.errors import ConfigError, InputError
from nbf_run.bench.files import TABLE, read_table
from nbf_run.bench.paired import compare
from nbf_run.bench.tables import condition, difference, percent, show_table
from nbf_run.jsons import plain, write_json

if TYPE_CHECKING:
    from rich.console import Console

Key = tuple[str, str, str, str]
"""Set, protocol, case, method."""

RESAMPLES, SEED = 2000, 0


def compare_runs(runs: Sequence[str | Path], out: str | Path | None = None) -> dict[str, Any]:
    """Every run after the first against the first: paired statistics of every cell that both have.

    Cells are matched by the names of set, protocol, case and method, people by sample. With ``out`` a report and a page
    are written there. Raises ConfigError where a folder holds no finished report, InputError where two runs share
    nothing.
    """
    folders = [Path(run) for run in runs]
    reports = [_report(folder) for folder in folders]
    tables = [_values(read_table(folder / TABLE), report) for folder, report in zip(folders, reports, strict=True)]
    confidence = reports[0]["confidence"]
    compared = []
    for folder, report, table in list(zip(folders, reports, tables, strict=True))[1:]:
        cells = list(_cells(tables[0], table, reports[0]["metrics"], confidence))
        if not cells:
            raise InputError(f"{folder}: shares no people, method and condition with {folders[0]}")
        compared.append({"run": str(folder), "differs": _differs(reports[0], report), "cells": cells})
    result = {
        "schema": 2,
        "kind": "bench-comparison",
        "base": str(folders[0]),
        "confidence": confidence,
        "metrics": reports[0]["metrics"],
        "compared": compared,
        "page": None,
    }
    if out is not None:
        out = Path(out)
        out.mkdir(parents=True, exist_ok=True)
        result["page"] = _write_page(out, result)
        write_json(out / "report.json", result)
    return plain(result)


def print_comparison(result: Mapping[str, Any], console: Console | None = None) -> None:
    """Print the differences of all metrics over all joints."""
    from rich.console import Console as Terminal

    console = console or Terminal()
    for run in result["compared"]:
        console.print(f"{run['run']} minus {result['base']}", markup=False, highlight=False)
        for line in run["differs"]:
            console.print(f"  {line}", markup=False, highlight=False)
        for metric, unit in ((name, entry["unit"]) for name, entry in result["metrics"].items()):
            rows = [
                [
                    condition(run["cells"], cell),
                    cell["method"],
                    difference(value),
                    _p(value["wilcoxon_p"]),
                    str(value["n"]),
                ]
                for cell in run["cells"]
                if (value := cell["metrics"].get(metric)) and value["mean"] is not None
            ]
            if rows:
                show_table(console, f"{metric} {unit}", ["condition", "method", "difference", "p", "n"], rows)


def _report(folder: Path) -> dict[str, Any]:
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        if report["kind"] == "bench" and report["schema"] == 2:
            return report
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ConfigError(f"{folder}: holds no report of a benchmark; nbf-run report {folder} makes one of what is there")


def _values(table: Mapping[str, list[Any]], report: Mapping[str, Any]) -> dict[Key, dict[str, dict[int, float]]]:
    """A number for every person by cell and method, then metric: the rule of ``results.per_person``."""
    sums: dict[Key, dict[str, dict[int, list[float]]]] = {}
    keys = list(zip(table["set"], table["protocol"], table["case"], table["method"], strict=True))
    who = table.get("person", table["sample"])  # a film's frames are one person
    for metric in report["metrics"]:
        for row, value in enumerate(table.get(metric, ())):
            chosen = table["chosen_by"][row]
            if value is None or (chosen and metric not in chosen.split(",")):
                continue
            people = sums.setdefault(keys[row], {}).setdefault(metric, {})
            people.setdefault(who[row], []).append(value)
    return {
        key: {m: {i: sum(v) / len(v) for i, v in people.items()} for m, people in metrics.items()}
        for key, metrics in sums.items()
    }


def _cells(
    base: Mapping[Key, Any], other: Mapping[Key, Any], metrics: Mapping[str, Any], confidence: float
) -> Iterator[dict[str, Any]]:
    for key, theirs in base.items():
        ours = other.get(key)
        if ours is None:
            continue
        found = {
            metric: compare(ours[metric], theirs[metric], about["lower_is_better"], (confidence, RESAMPLES, SEED))
            for metric, about in metrics.items()
            if metric in ours and metric in theirs
        }
        if any(value["n"] for value in found.values()):
            set_name, protocol, case, method = key
            title = protocol if case in ("", protocol) else f"{protocol} {case}"
            yield {
                "set": set_name,
                "protocol": protocol,
                "case": case,
                "title": title,
                "method": method,
                "metrics": found,
            }


def _differs(base: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What a reader must know before the numbers."""
    said = [
        f"{report['run']['pipeline']['name']}: not finished, {report['done']['items']} of {report['done']['of']} parts"
        for report in (base, other)
        if not report["complete"]
    ]
    ours, theirs = (
        {entry["name"]: (entry["data"], entry["body"], entry["joints"]) for entry in report["sets"]}
        for report in (other, base)
    )
    said += [
        f"the set {name} is not the same in both" for name in ours if name in theirs and ours[name] != theirs[name]
    ]
    return said


def _write_page(out: Path, result: Mapping[str, Any]) -> str:
    from nbf_run import __version__
    from nbf_run.bench.charts import write_differences
    from nbf_run.bench.page import environment

    charts = {}
    metric = next(iter(result["metrics"]))
    for number, run in enumerate(result["compared"], start=1):
        name = f"differences-{number}.svg"
        if write_differences(out / name, run["cells"], metric, result):
            charts[run["run"]] = name
    text = (
        environment()
        .get_template("comparison.html.j2")
        .render(result=result, charts=charts, percent=percent, p=_p, colophon=f"Made by nbf-run {__version__}.")
    )
    (out / "index.html").write_text(text, encoding="utf-8")
    return "index.html"


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"
