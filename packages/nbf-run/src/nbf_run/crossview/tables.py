"""The numbers as text: tables for page, terminal and Markdown, rows for spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nbf_run.crossview.scene import Scene
from nbf_run.crossview.score import Scores, hits
from nbf_run.crossview.summary import GROUPS

if TYPE_CHECKING:
    from rich.console import Console

COLUMNS = {
    "pckh as-is": "PCKh % as is",
    "pckh moved": "PCKh % moved",
    "pckh scaled": "PCKh % scaled",
    "distance scaled": "median cm scaled",
    "pckh own": "PCKh % own view",
    "mpjpe": "MPJPE mm",
    "pa-mpjpe": "PA mm",
    "pa-between": "PA mm between views",
    "size": "trunk % of true",
}

_DIFFERENCES = ("pckh as-is", "pckh moved", "pckh scaled", "mpjpe", "pa-mpjpe", "pa-between")


def main_table(report: Mapping[str, Any], group: str, intervals: bool = True) -> tuple[list[str], list[list[str]]]:
    """Header and rows: a method each, every number of the group."""
    rows = []
    for method in report["methods"]:
        values = method["results"][group]
        cells = [_cell(values.get(metric), intervals) for metric in COLUMNS]
        seconds = "" if method["seconds"] is None else f"{method['seconds']:.2f}"
        rows.append([method["name"], *cells, seconds])
    return ["method", *COLUMNS.values(), "s"], rows


def difference_table(report: Mapping[str, Any], group: str, rival: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of paired differences to ``rival``."""
    rows = []
    for method in report["methods"]:
        values = method["results"][group]
        cells = [_difference(values.get(metric, {}).get("against", {}).get(rival)) for metric in _DIFFERENCES]
        if any(cell != "–" for cell in cells):
            rows.append([method["name"], *cells])
    return ["method", *(COLUMNS[metric] for metric in _DIFFERENCES)], rows


def view_table(report: Mapping[str, Any], method: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """PCKh of one method: a row for each camera fitted, a column for each that judges; its own in brackets."""
    cameras = report["data"]["cameras"]
    rows = []
    for i, row in enumerate(method["views"]):
        cells = [_number(value) for value in row]
        cells[i] = f"({cells[i]})"
        rows.append([f"camera {cameras[i]}", *cells])
    return ["fitted to", *(f"camera {camera}" for camera in cameras)], rows


def markdown(report: Mapping[str, Any]) -> str:
    """The whole report as Markdown."""
    run = report["run"]
    lines = [f"# Cross-view scores of the pipeline `{run['pipeline']['name']}`", ""]
    lines += [f"Seed {run['seed']}, {run['time']}, `{run['command']}`.", "", *(f"* {n}" for n in report["notes"]), ""]
    for group, about in GROUPS.items():
        lines += [f"## {about.capitalize()} ({report['data']['pictures'][group]})", ""]
        lines += _grid(*main_table(report, group))
        for rival in report["rivals"]:
            lines += [
                f"Difference to *{rival}*, paired by moment:",
                "",
                *_grid(*difference_table(report, group, rival)),
            ]
    for method in report["methods"]:
        if method.get("views"):
            lines += [f"## {method['name']}: PCKh by view, {report['views_alignment']}", ""]
            lines += _grid(*view_table(report, method))
    return "\n".join(lines) + "\n"


def print_report(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Print means to the terminal, the other way round: a method a column, so that it fits 80 columns."""
    from rich import box
    from rich.console import Console as Terminal
    from rich.table import Table

    console = console or Terminal()
    for group, about in GROUPS.items():
        header, rows = main_table(report, group, intervals=False)
        title = f"{about}: {report['data']['pictures'][group]}"
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1))
        for i, name in enumerate(["", *(row[0] for row in rows)]):
            table.add_column(name, justify="right" if i else "left")
        for i, name in enumerate(header[1:], start=1):
            table.add_row(name, *(row[i] for row in rows))
        console.print(table)


def write_pairs(path: Path, scene: Scene, scores: Mapping[str, Scores], limit: float) -> None:
    """A row for each method, moment, camera fitted and camera that judges: hits, keypoints and medians."""

    def rows() -> Iterator[list[Any]]:
        for name, own in scores.items():
            for alignment, miss in own.misses.items():
                found, there = hits(miss, limit)
                for m, s, t in torch.cartesian_prod(*(torch.arange(n) for n in found.shape)).tolist():
                    known = miss[m, s, t][~miss[m, s, t].isnan()]
                    middle = round(float(100 * known.median()), 2) if len(known) else ""
                    place = [int(scene.moments[m]), int(scene.cameras[s]), int(scene.cameras[t])]
                    yield [name, alignment, *place, int(found[m, s, t]), int(there[m, s, t]), middle]

    _write(path, ["method", "alignment", "moment", "fitted", "judge", "hits", "keypoints", "median_cm"], rows())


def write_bodies(path: Path, scene: Scene, scores: Mapping[str, Scores]) -> None:
    """A row for each method, moment and camera: errors to the triangulated body, and to the other views' bodies."""

    def rows() -> Iterator[list[Any]]:
        for name, own in scores.items():
            for m, s in torch.cartesian_prod(*(torch.arange(n) for n in scene.shape)).tolist():
                values = (own.mpjpe[m, s], own.pa_mpjpe[m, s], own.between[m, s].nanmean(), 100 * own.size[m, s])
                place = [int(scene.moments[m]), int(scene.cameras[s]), int(scene.swapped[m, s])]
                yield [name, *place, *("" if v.isnan() else round(float(v), 2) for v in values)]

    header = [
        "method",
        "moment",
        "fitted",
        "sides_swapped",
        "mpjpe_mm",
        "pa_mpjpe_mm",
        "pa_between_mm",
        "trunk_percent",
    ]
    _write(path, header, rows())


def _write(path: Path, header: list[str], rows: Iterator[list[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _cell(value: Mapping[str, Any] | None, intervals: bool) -> str:
    if value is None:
        return "–"
    if "median" in value:
        return _number(value["median"])
    if value["mean"] is None:
        return "–"
    between = f" [{_number(value['low'])}, {_number(value['high'])}]" if intervals else ""
    return _number(value["mean"]) + between


def _difference(value: Mapping[str, Any] | None) -> str:
    if value is None or value["mean"] is None or value["low"] is None:
        return "–"
    return f"{value['mean']:+.1f} [{value['low']:+.1f}, {value['high']:+.1f}]"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}" if abs(value) < 1000 else f"{value:.0f}"


def _grid(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return [*lines, *("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows), ""]
