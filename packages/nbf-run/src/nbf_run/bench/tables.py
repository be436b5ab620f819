"""The report in words: tables for the terminal, for ``report.md`` and for the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

Table = tuple[list[str], list[list[str]]]
"""Header and rows."""

_QUALITY = {
    "within_10cm": "within 10 cm",
    "correct_side": "correct side",
    "found_within_10cm": "found: within 10 cm",
    "found_correct_side": "found: correct side",
    "body_found": "body found",
    "background_rejected": "background rejected",
    "occluder_rejected": "occluder rejected",
}


def joints_of(report: Mapping[str, Any], cell: Mapping[str, Any]) -> str:
    """Which joints a cell's numbers in tables are over."""
    entry = next(one for one in report["sets"] if one["name"] == cell["set"])
    return "visible" if entry["visible_only"] else "all"


def value_of(cell: Mapping[str, Any], method: str, metric: str, which: str) -> Mapping[str, Any] | None:
    """The summary of a method's metric in a cell; None where it is not known."""
    entry = next((one for one in cell["methods"] if one["name"] == method), None)
    found = (entry or {}).get("metrics", {}).get(metric, {}).get(which)
    return found if found and found["mean"] is not None else None


def main_metrics(report: Mapping[str, Any]) -> list[str]:
    """All metrics, those first that occluders were chosen by: they are known in every cell."""
    chosen = {metric for cell in report["cells"] for metric in cell["choose"]}
    return sorted(report["metrics"], key=lambda metric: metric not in chosen)


def measured(report: Mapping[str, Any], cell: Mapping[str, Any], which: str) -> list[str]:
    """The metrics that the cell has values of, over ``which`` joints."""
    return [name for name in report["metrics"] if any(which in m["metrics"].get(name, {}) for m in cell["methods"])]


def cell_table(report: Mapping[str, Any], cell: Mapping[str, Any], which: str = "all") -> Table:
    """A cell's results over ``which`` joints ("all", "visible"): means and intervals."""
    names = measured(report, cell, which)
    header = ["method", *(title(report, name) for name in names), "n", "kept", "s"]
    rows = []
    for method in cell["methods"]:
        found = [method["metrics"].get(name, {}).get(which) for name in names]
        count = max((one["n"] for one in found if one), default=0)
        seconds = f"{method['seconds']:.2f}" if method["fits"] and method["seconds"] is not None else ""
        rows.append([method["name"], *map(mean, found), str(count), percent(method["kept"]), seconds])
    return header, rows


def difference_table(report: Mapping[str, Any], cell: Mapping[str, Any], which: str = "all") -> Table:
    """The paired differences of methods to their start, and the share of people who got better."""
    names = measured(report, cell, which)
    header = ["method", "against", *(title(report, name) for name in names)]
    rows = []
    for method in cell["methods"]:
        against = method.get("against_reference")
        if against:
            differences = [difference(against.get(name, {}).get(which)) for name in names]
            rows.append([method["name"], method["reference"], *differences])
    return header, rows


def quality_table(report: Mapping[str, Any]) -> Table:
    """The features' correspondence quality: a column a cell and start."""
    starts = [(cell, start) for cell in report["cells"] for start in cell["starts"] if _known(start)]
    rows = [
        [words, *(percent(start["correspondence"].get(name)) for _, start in starts)]
        for name, words in _QUALITY.items()
    ]
    several = any(len(cell["starts"]) > 1 for cell in report["cells"])
    heads = [f"{cell['title']}" + (f" ({start['methods'][0]})" if several else "") for cell, start in starts]
    return ["visible body pixels", *heads], rows


def markdown(report: Mapping[str, Any]) -> str:
    """The whole report as Markdown."""
    run = report["run"]
    weights = (run.get("weights") or {}).get("file")
    lines = [f"# Benchmark of the pipeline `{run['pipeline']['name']}`", ""]
    lines += [f"Seed {run['seed']}, weights `{weights}`, {run['time']}, `{run['command']}`.", ""]
    if not report["complete"]:
        lines += [f"**{unfinished(report)}**", ""]
    if report["answer"]:
        lines += [" ".join(report["answer"]["sentences"]), ""]
    lines += [*(f"* missing: {line}" for line in missing_lines(report["missing"])), ""] if report["missing"] else []
    lines += [*(f"* {note}" for note in report["notes"]), ""]
    for cell in begun(report):
        lines += _cell_lines(report, cell)
    header, rows = quality_table(report)
    if len(header) > 1:
        lines += ["## Correspondence quality of the features", "", *_grid(header, rows)]
        lines += [
            "The bank's best kernel for each visible body pixel: its distance over the rest pose, and its side. "
            "Found: among pixels whose best kernel beats the clutter.",
            "",
        ]
    for table in report["published"]:
        lines += [f"## Published: {table['title']}", "", f"{table['source']}. {table['settings']}", ""]
        lines += _grid(*published_table(table))
    return "\n".join(lines).rstrip() + "\n"


def published_table(table: Mapping[str, Any]) -> Table:
    """A published table, cells as printed: its metrics between strokes."""
    header = ["method", *(f"{column} ({'/'.join(table['metrics'])})" for column in table["columns"])]
    return header, [[name, *map(published_cell, cells)] for name, cells in table["rows"]]


def published_cell(values: Sequence[float | None]) -> str:
    """The numbers of a published cell."""
    return " / ".join("–" if value is None else f"{value:.1f}" for value in values)


def missing_words(one: Mapping[str, Any]) -> str:
    """What is missing, and why."""
    where = f" on {one['set']}" if one["set"] else ""
    return f"{one['kind']} {one['name']}{where}: {one['reason']}"


def begun(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The cells that somebody was measured in, or failed."""
    return [cell for cell in report["cells"] if cell["people"] or cell["failed"]]


def unfinished(report: Mapping[str, Any]) -> str:
    """How far a run is that was ended early."""
    done, cells = report["done"], len(report["cells"])
    words = f"Not finished: {done['items']} of {done['of']} parts are done"
    empty = cells - len(begun(report))
    return f"{words}; nothing yet in {empty} of {cells} conditions." if empty else f"{words}."


def missing_lines(missing: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is missing, each reason once with all whom it concerns."""
    concerned: dict[str, list[str]] = {}
    for one in missing:
        name = f"{one['kind']} {one['name']}" + (f" on {one['set']}" if one["set"] else "")
        for part in one["reason"].split("; "):
            concerned.setdefault(part, []).append(name)
    lines: dict[tuple[str, ...], list[str]] = {}
    for part, names in concerned.items():
        lines.setdefault(tuple(dict.fromkeys(names)), []).append(part)
    return [f"{_names(names)}: {'; '.join(parts)}" for names, parts in lines.items()]


def _names(names: Sequence[str]) -> str:
    """Several of one kind, the kind said once."""
    kind = names[0].partition(" ")[0]
    same = all(name.startswith(f"{kind} ") for name in names)
    return ", ".join([names[0], *(name.removeprefix(f"{kind} ") if same else name for name in names[1:])])


def condition(cells: Sequence[Mapping[str, Any]], cell: Mapping[str, Any]) -> str:
    """A cell's title, after its set where there are several."""
    return cell["title"] if len({one["set"] for one in cells}) == 1 else f"{cell['set']}, {cell['title']}"


def people_words(cell: Mapping[str, Any]) -> str:
    """How many people, or films, a cell's numbers are of."""
    count = cell["people"]
    if cell.get("frames") is None:
        return f"{count} {'person' if count == 1 else 'people'}"
    return f"{count} film{'s' * (count != 1)}, {cell['frames']} frames"


def _cell_lines(report: Mapping[str, Any], cell: Mapping[str, Any]) -> list[str]:
    confidence = round(100 * report["confidence"])
    lines = [
        f"## {cell['set']}: {cell['title']}",
        "",
        f"{people_words(cell)}, mean [{confidence} % interval], all joints.",
        "",
    ]
    lines += _grid(*cell_table(report, cell))
    if measured(report, cell, "visible"):
        lines += ["Visible joints only:", "", *_grid(*cell_table(report, cell, "visible"))]
    header, rows = difference_table(report, cell)
    if rows:
        lines += [
            "Difference to the start person by person, all joints (share who improved):",
            "",
            *_grid(header, rows),
        ]
    lines += [f"* sample {one['sample']} failed: {one['reason']}" for one in cell["failed"]]
    return [*lines, *[""] * bool(cell["failed"])]


def print_report(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Print the answer, and tables of means over all joints, in 80 columns; of several benchmarks their answers."""
    from rich.console import Console as Terminal

    console = console or Terminal()
    if report["kind"] == "bench-all":
        _print_runs(report, console)
        return
    for cell in begun(report):
        heading = f"{cell['set']}, {cell['title']}: {people_words(cell)}, mean over all joints"
        show_table(console, heading, *_brief(cell_table(report, cell)))
        for failure in cell["failed"]:
            console.print(f"sample {failure['sample']} failed: {failure['reason']}", markup=False)
    for line in missing_lines(report["missing"]):
        console.print(f"missing: {line}", markup=False)
    if not report["complete"]:
        console.print(unfinished(report), markup=False, highlight=False)
    if report["answer"]:
        console.print(" ".join(report["answer"]["sentences"]), markup=False, highlight=False)


def _print_runs(report: Mapping[str, Any], console: Console) -> None:
    for run in report["runs"]:
        words = " ".join(run["sentences"]) or f"{run['cells']} condition{'s' * (run['cells'] != 1)} measured."
        published = f" Beside: {'; '.join(run['published'])}." if run["published"] else ""
        console.print(f"{run['name']}: {words}{published}", markup=False, highlight=False)
    for line in missing_lines(report["missing"]):
        console.print(f"missing: {line}", markup=False, highlight=False)


def show_table(console: Console, heading: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print one table."""
    from rich import box
    from rich.table import Table as Drawn

    table = Drawn(title=heading, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1))
    for i, name in enumerate(header):
        table.add_column(name.replace(" ", "\n") if i else name, justify="right" if i else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _brief(table: Table) -> Table:
    """The table without intervals."""
    header, rows = table
    return header, [[cell.partition(" [")[0] for cell in row] for row in rows]


def title(report: Mapping[str, Any], name: str) -> str:
    """A metric's name and unit."""
    return f"{name} {report['metrics'][name]['unit']}"


def mean(value: Mapping[str, Any] | None) -> str:
    """A mean with its interval."""
    if value is None or value["mean"] is None:
        return "-"
    return f"{value['mean']:.1f} [{value['low']:.1f}, {value['high']:.1f}]"


def difference(value: Mapping[str, Any] | None) -> str:
    """A mean difference with its interval and the share who improved."""
    if value is None or value["mean"] is None:
        return "-"
    return f"{value['mean']:+.1f} [{value['low']:+.1f}, {value['high']:+.1f}] ({percent(value['better'])})"


def percent(value: float | None) -> str:
    """A share in percent; nothing where it is not known."""
    return "" if value is None else f"{100 * value:.0f}%"


def _known(start: Mapping[str, Any]) -> bool:
    return any(start["correspondence"].get(name) is not None for name in _QUALITY)


def _grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return [*lines, *("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows), ""]
