"""``nbf-run bench`` and ``nbf-run report``: words around the calls of ``nbf_run.bench``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nbf_core.config import parse_override
from nbf_core.errors import ConfigError
from nbf_run.cli.main import DONE, SOME_FAILED


def bench_command(
    source: str | None, out: Path | None, resume: Path | None, settings: Sequence[str] | None, as_json: bool
) -> int:
    """``nbf-run bench``."""
    overrides = [parse_override(text) for text in settings or ()]
    from nbf_run.bench import bench, print_report

    folder = out if out is not None else resume
    try:
        with _progress() as step:
            report = bench(source, out, overrides, step, resume)
    except KeyboardInterrupt:
        if folder is not None and (folder / "run.json").is_file():
            print(f"nbf-run: what is finished is kept; go on with --resume {folder}", file=sys.stderr)
        raise
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        print_report(report)
        print(f"page: {folder / report['page']}")
    return SOME_FAILED if report["failed"] else DONE


def report_command(runs: Sequence[Path], out: Path | None, as_json: bool) -> int:
    """``nbf-run report``: one run's report anew, or the second run (and each further one) against the first."""
    from nbf_run.bench import compare_runs, print_comparison, print_report, rebuild

    if len(runs) == 1:
        if out is not None:
            raise ConfigError("--out: is for comparisons; the report of one run is written into its own folder")
        report = rebuild(runs[0])
        shown, page = print_report, runs[0] / report["page"]
    else:
        report = compare_runs(runs, out)
        shown, page = print_comparison, None if out is None else out / report["page"]
    if as_json:
        print(json.dumps(report, indent=2))
        return DONE
    shown(report)
    if page is not None:
        print(f"page: {page}")
    return DONE


@contextmanager
def _progress() -> Iterator[Any]:
    """One bar on stderr over all the work, and what is being measured; silent where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
        TimeElapsedColumn(), TextColumn("left"), _left()(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal, refresh_per_second=2) as progress:
        bar = None

        def step(what: str, done: int, total: int) -> None:
            nonlocal bar
            if bar is None:
                bar = progress.add_task(what, total=total, completed=done, began=done)
            progress.update(bar, description=what, completed=done, total=total)

        yield step


def _left():
    """The column of the time that is left, by what this process itself has done: the rest cost it nothing."""
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Left(ProgressColumn):
        max_refresh = 1.0

        def render(self, task: Task) -> Text:
            done, elapsed = task.completed - task.fields.get("began", 0), task.elapsed
            if not done or not elapsed or task.total is None:
                return Text("-:--:--", style="progress.remaining")
            seconds = int(elapsed * (task.total - task.completed) / done)
            return Text(f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}", style="progress.remaining")

    return Left
