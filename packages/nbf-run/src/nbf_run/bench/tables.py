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


def case_table(report: dict[str, Any], case: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a case's results: the mean and its interval, over all and over visible joints."""
    columns = _columns(report, case)
    header = ["method", "n", *(_title(report, *column) for column in columns), "kept", "s/person"]
    rows = []
    for method in case["methods"]:
        cells = [_mean(method["metrics"].get(name, {}).get(which)) for name, which in columns]
        counts = [one["n"] for sets in method["metrics"].values() for one in sets.values()]
        seconds = f"{method['seconds']:.3f}" if method["fit"] and method["seconds"] is not None else ""
        rows.append([method["name"], str(max(counts, default=0)), *cells, _percent(method["kept"]), seconds])
    return header, rows


def difference_table(report: dict[str, Any], case: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the paired differences to the reference, and the share of people who got better."""
    columns = _columns(report, case)
    header = ["method", *(_title(report, *column) for column in columns)]
    rows = []
    for method in case["methods"]:
        against = method.get("against_reference")
        if against:
            found = (against.get(name, {}).get(which) for name, which in columns)
            rows.append([method["name"], *(_difference(one) for one in found)])
    return header, rows


def quality_table(report: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the features' correspondence quality: a column a case."""
    cases = report["cases"]
    rows = [
        [title, *(_percent(case["correspondence"].get(name)) for case in cases)]
        for name, title in _QUALITY.items()
    ]
    return ["visible body pixels", *(case["name"] for case in cases)], rows


def markdown(report: dict[str, Any]) -> str:
    """The whole report as Markdown."""
    run = report["run"]
    weights = (run.get("weights") or {}).get("file")
    lines = [f"# Benchmark of the pipeline `{run['pipeline']['name']}`", ""]
    lines += [f"Seed {run['seed']}, weights `{weights}`, {run['time']}, `{run['command']}`.", ""]
    lines += [*(f"* {note}" for note in report["notes"]), ""]
    percent = round(100 * report["confidence"])
    for case in report["cases"]:
        changes = ", ".join(f"{key} = {value}" for key, value in case["set"].items())
        lines += [f"## {case['name']}" + (f" ({changes})" if changes else ""), ""]
        seconds = case["regressor_seconds"]
        took = "" if seconds is None else f", the regressor took {seconds:.3f} s a person"
        lines += [f"Mean [{percent} % interval] over {case['people']} people{took}.", ""]
        lines += _grid(*case_table(report, case))
        header, rows = difference_table(report, case)
        if rows:
            lines += [f"Difference to *{report['reference']}*, person by person (share of people who improved):", ""]
            lines += _grid(header, rows)
        lines += [f"* sample {one['sample']} failed: {one['reason']}" for one in case["failed"]]
        lines += [""] * bool(case["failed"])
    lines += ["## Correspondence quality of the features", ""]
    lines += _grid(*quality_table(report))
    lines += ["The best kernel of the bank for each visible body pixel, by its distance over the rest pose; found: "]
    lines[-1] += "among pixels whose best kernel beats the clutter."
    return "\n".join(lines) + "\n"


def print_report(report: dict[str, Any], console: Console | None = None) -> None:
    """Print the tables to the terminal: means over all joints, in 80 columns."""
    from rich import box
    from rich.console import Console as Terminal
    from rich.table import Table

    console = console or Terminal()

    def show(title: str, header: list[str], rows: list[list[str]]) -> None:
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for i, name in enumerate(header):
            table.add_column(name.replace(" ", "\n") if i else name, justify="right" if i else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        console.print(table)

    for case in report["cases"]:
        show(f"{case['name']}: {case['people']} people, mean over all joints", *_brief(case_table(report, case)))
        for failure in case["failed"]:
            console.print(f"sample {failure['sample']} failed: {failure['reason']}", markup=False)
    show("correspondence quality", *quality_table(report))


def _brief(table: tuple[list[str], list[list[str]]]) -> tuple[list[str], list[list[str]]]:
    """The table without counts, intervals and visible joints."""
    header, rows = table
    keep = [i for i, name in enumerate(header) if name != "n" and not name.endswith(", visible")]
    return [header[i] for i in keep], [[row[i].partition(" [")[0] for i in keep] for row in rows]


def _columns(report: dict[str, Any], case: dict[str, Any]) -> list[tuple[str, str]]:
    found = {(name, which) for m in case["methods"] for name, sets in m["metrics"].items() for which in sets}
    return [(name, which) for name in report["metrics"] for which in ("all", "visible") if (name, which) in found]


def _title(report: dict[str, Any], name: str, which: str) -> str:
    unit = report["metrics"][name]["unit"]
    return f"{name} {unit}" + (", visible" if which == "visible" else "")


def _mean(value: dict[str, Any] | None) -> str:
    if value is None or value["mean"] is None:
        return "-"
    return f"{value['mean']:.1f} [{value['low']:.1f}, {value['high']:.1f}]"


def _difference(value: dict[str, Any] | None) -> str:
    if value is None or value["mean"] is None:
        return "-"
    return f"{value['mean']:+.1f} [{value['low']:+.1f}, {value['high']:+.1f}] ({_percent(value['better'])})"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"


def _grid(header: list[str], rows: Iterable[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return [*lines, *("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows), ""]
