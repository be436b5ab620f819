"""The commands that compute: words around the calls of ``nbf_run.tasks`` and ``training``."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from nbf_core.config import parse_override
from nbf_run.cli.main import DONE, FAILED, SOME_FAILED

_MILLIMETRES = ("MPJPE mm", "PA-MPJPE mm")


def demo_command(source: str, out: Path, settings: Sequence[str] | None, as_json: bool) -> int:
    """``nbf-run demo``."""
    overrides = _overrides(settings)
    from nbf_run.tasks import demo_to

    with progress_bars() as step:
        report = demo_to(out, source, overrides, step)
    return _finish(report, as_json)


def fit_command(
    source: str,
    images: Sequence[Path],
    out: Path,
    settings: Sequence[str] | None,
    as_json: bool,
    extra: Sequence[tuple[str, Any]] = (),
    film: bool = False,
    resume: bool = False,
) -> int:
    """``nbf-run fit``; ``extra`` are further overrides."""
    overrides = [*_overrides(settings), *extra]
    from nbf_run.tasks import fit_to

    with progress_bars() as step:
        report = fit_to(out, source, images, overrides, step, film, resume)
    return _finish(report, as_json)


def train_command(
    source: str, out: Path | None, resume: Path | None, settings: Sequence[str] | None, as_json: bool
) -> int:
    """``nbf-run train``."""
    overrides = _overrides(settings)
    from nbf_run.training import train

    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    with progress_bars() as step:
        model = train(source, out, overrides, resume, step)
    print(json.dumps({"model": str(model)}) if as_json else f"model: {model}")
    return DONE


def _overrides(settings: Sequence[str] | None) -> list[tuple[str, Any]]:
    return [parse_override(text) for text in settings or ()]


@contextmanager
def progress_bars() -> Iterator[Any]:
    """A bar on stderr for each thing done; silent where that is no terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    plain_stderr = sys.stderr
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress, _logging_above(plain_stderr):
        bars: dict[str, Any] = {}

        def step(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=total)
            progress.update(bars[what], completed=done)

        yield step


@contextmanager
def _logging_above(plain_stderr: Any) -> Iterator[None]:
    """Have logged lines appear above the bar: it takes ``sys.stderr`` over, and handlers hold on to the old one."""
    handlers = [h for h in logging.getLogger().handlers if getattr(h, "stream", None) is plain_stderr]
    for handler in handlers:
        handler.setStream(sys.stderr)
    try:
        yield
    finally:
        for handler in handlers:
            handler.setStream(plain_stderr)


def _finish(report: Mapping[str, Any], as_json: bool) -> int:
    """Print results and failures; the exit code."""
    from nbf_run.jsons import plain

    failures = [entry["error"] for entry in report["images"] if entry["status"] == "failed"]
    for line in failures:
        print(f"nbf-run: {line}", file=sys.stderr)
    if as_json:
        print(json.dumps(plain(report), indent=2))
    else:
        if "tracks" in report:
            Console().print(_track_table(report))
        elif report["summary"]["people"]:
            Console().print(_table(report))
        print(f"page: {report['page']}")
    if not failures:
        return DONE
    return SOME_FAILED if report["summary"]["people"] else FAILED


def _table(report: Mapping[str, Any]) -> Table:
    from nbf_run.report.page import number, person_title

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("person", overflow="fold")
    millimetres = any(person["errors_mm"] for entry in _fitted(report) for person in entry["people"])
    heads = ["keypoint error %", *(_MILLIMETRES if millimetres else ()), "hidden %", "kept"]
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)

    def arrow(pair: Mapping[str, float] | None, digits: int) -> str:
        return "–" if pair is None else f"{number(pair['start'], digits)} → {number(pair['fit'], digits)}"

    for entry in _fitted(report):
        for position, person in enumerate(entry["people"]):
            cells = [arrow(person["keypoint_error_percent"], 1)]
            if millimetres:
                cells += [arrow(person["errors_mm"].get(name.removesuffix(" mm")), 0) for name in _MILLIMETRES]
            cells += [f"{100 * person['occluded_share']:.0f}", "yes" if person["kept"] else "no"]
            table.add_row(person_title(entry, position), *cells)
    return table


def _track_table(report: Mapping[str, Any]) -> Table:
    """A line for each person of a film: there may be thousands of frames."""
    from nbf_run.report.page import number

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("person", "frames", "kept", "jitter mm/frame²"):
        table.add_column(head, justify="left" if head == "person" else "right", no_wrap=True)
    for track in report["tracks"]:
        unsteady = f"{number(track['jitter_mm']['start'])} → {number(track['jitter_mm']['fit'])}"
        table.add_row(str(track["track"] + 1), str(track["frames"]), str(track["kept"]), unsteady)
    return table


def _fitted(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [entry for entry in report["images"] if entry["status"] == "ok"]
