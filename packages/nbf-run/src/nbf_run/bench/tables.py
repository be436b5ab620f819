"""The report in words: tables for the terminal and for ``report.md``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_QUALITY = {
    "within_10cm": "within 10 cm",
    "correct_side": "correct side",
    "found_within_10cm": "found: within 10 cm",
    "found_correct_side": "found: correct side",
    "body_found": "body found",
    "background_rejected": "background rejected",
    "occluder_rejected": "occluder rejected",
}


def case_table(report: dict[str, Any], case: dict[str, Any], which: str = "all") -> tuple[list[str], list[list[str]]]:
    """Header and rows of a case's results over ``which`` joints ("all", "visible"): means and intervals."""
    names = _measured(report, case, which)
    header = ["method", *(_title(report, name) for name in names), "n", "kept", "s"]
    rows = []
    for method in case["methods"]:
        found = [method["metrics"].get(name, {}).get(which) for name in names]
        count = max((one["n"] for one in found if one), default=0)
        seconds = f"{method['seconds']:.2f}" if method["fit"] and method["seconds"] is not None else ""
        rows.append([method["name"], *map(_mean, found), str(count), _percent(method["kept"]), seconds])
    return header, rows


def difference_table(
    report: dict[str, Any], case: dict[str, Any], which: str = "all"
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the paired differences to the reference, and the share of people who got better."""
    names = _measured(report, case, which)
    header = ["method", *(_title(report, name) for name in names)]
    rows = []
    for method in case["methods"]:
        against = method.get("against_reference")
        if against:
            rows.append([method["name"], *(_difference(against.get(name, {}).get(which)) for name in names)])
    return header, rows


def quality_table(report: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the features' correspondence quality: a column a case."""
    cases = report["cases"]
    rows = [
        [title, *(_percent(case["correspondence"].get(name)) for case in cases)] for name, title in _QUALITY.items()
    ]
    return ["visible body pixels", *(case["name"] for case in cases)], rows


def markdown(report: dict[str, Any]) -> str:
    """The whole report as Markdown."""
    run = report["run"]
    weights = (run.get("weights") or {}).get("file")
    lines = [f"# Benchmark of the pipeline `{run['pipeline']['name']}`", ""]
    lines += [f"Seed {run['seed']}, weights `{weights}`, {run['time']}, `{run['command']}`.", ""]
    lines += [*(f"* {note}" for note in report["notes"]), ""]
    for case in report["cases"]:
        lines += _case_lines(report, case)
    lines += ["## Correspondence quality of the features", ""]
    lines += _grid(*quality_table(report))
    lines += [
        "The bank's best kernel for each visible body pixel: its distance over the rest pose, and its side. "
        "Found: among pixels whose best kernel beats the clutter."
    ]
    return "\n".join(lines) + "\n"


def _case_lines(report: dict[str, Any], case: dict[str, Any]) -> list[str]:
    changes = ", ".join(f"{key} = {value}" for key, value in case["set"].items())
    seconds, percent = case["regressor_seconds"], round(100 * report["confidence"])
    took = "" if seconds is None else f" The regressor took {seconds:.3f} s a person; s is the fit's time for one."
    lines = [f"## {case['name']}" + (f" ({changes})" if changes else ""), ""]
    lines += [f"{case['people']} people, mean [{percent} % interval], all joints.{took}", ""]
    lines += _grid(*case_table(report, case))
    if _measured(report, case, "visible"):
        lines += ["Visible joints only:", "", *_grid(*case_table(report, case, "visible"))]
    header, rows = difference_table(report, case)
    if rows:
        lines += [
            f"Difference to *{report['reference']}* person by person, all joints (share who improved):",
            "",
        ]
        lines += _grid(header, rows)
    lines += [f"* sample {one['sample']} failed: {one['reason']}" for one in case["failed"]]
    return [*lines, *[""] * bool(case["failed"])]


def print_report(report: dict[str, Any], console: Console | None = None) -> None:
    """Print the tables to the terminal: means over all joints, in 80 columns."""
    from rich import box
    from rich.console import Console as Terminal
    from rich.table import Table

    console = console or Terminal()

    def show(title: str, header: list[str], rows: list[list[str]]) -> None:
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1))
        for i, name in enumerate(header):
            table.add_column(name.replace(" ", "\n") if i else name, justify="right" if i else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        console.print(table)

    for case in report["cases"]:
        show(
            f"{case['name']}: {case['people']} people, mean over all joints",
            *_brief(case_table(report, case)),
        )
        for failure in case["failed"]:
            console.print(f"sample {failure['sample']} failed: {failure['reason']}", markup=False)
    show("correspondence quality", *quality_table(report))


def _brief(table: tuple[list[str], list[list[str]]]) -> tuple[list[str], list[list[str]]]:
    """The table without intervals."""
    header, rows = table
    return header, [[cell.partition(" [")[0] for cell in row] for row in rows]


def _measured(report: dict[str, Any], case: dict[str, Any], which: str) -> list[str]:
    """The metrics that the case has values of, over ``which`` joints."""
    return [name for name in report["metrics"] if any(which in m["metrics"].get(name, {}) for m in case["methods"])]


def _title(report: dict[str, Any], name: str) -> str:
    return f"{name} {report['metrics'][name]['unit']}"


def _mean(value: dict[str, Any] | None) -> str:
    if value is None or value["mean"] is None:
        return "-"
    return f"{value['mean']:.1f} [{value['low']:.1f}, {value['high']:.1f}]"


def _difference(value: dict[str, Any] | None) -> str:
    if value is None or value["mean"] is None:
        return "-"
    return f"{value['mean']:+.1f} [{value['low']:+.1f}, {value['high']:+.1f}] ({_percent(value['better'])})"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f}%"


def _grid(header: list[str], rows: Iterable[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return [*lines, *("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows), ""]
