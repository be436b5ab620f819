"""The charts of a benchmark's page, as SVG files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nbf_run.bench.tables import condition, joints_of, main_metrics, value_of

COLOURS = ("#8a919c", "#e69f00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#6c5ce7")
"""Okabe and Ito's palette, told apart by colour-blind readers; the first, grey, is the start."""

_INK, _QUIET, _RULE = "#23272e", "#646c76", "#dfe3e8"
_GOLD = "#c9a227"
_VERDICTS = {"better": "#0072b2", "worse": "#d55e00", "unclear": "#8a919c"}


def write_charts(folder: Path, report: Mapping[str, Any]) -> dict[str, str]:
    """Draw what the report has numbers for; the files' names by what they show."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {
        "gains": _gains(folder / "gains.svg", report),
        "sizes": _sizes(folder / "sizes.svg", report),
        "places": _places(folder / "places.svg", report),
        "time": _time(folder / "time.svg", report),
    }
    return {name: f"{folder.name}/{name}.svg" for name, there in drawn.items() if there}


def _gains(path: Path, report: Mapping[str, Any]) -> bool:
    """The mean gain in every condition with its interval: left of zero is better (or right, where more is better)."""
    answer = report["answer"]
    if not answer:
        return False
    several = len({gain["set"] for gain in answer["gains"]}) > 1
    rows = [(f"{g['set']}: {g['title']}" if several else g["title"], g) for g in answer["gains"]]
    found = {(g["set"], g["title"]): g for g in answer["rival_gains"]}
    rivals = [found.get((gain["set"], gain["title"])) for gain in answer["gains"]]
    words = f"change of {answer['metric'].upper()} ({answer['unit']}): {answer['method']} minus {answer['against']}, "
    words += f"person by person, {round(100 * report['confidence'])} % interval"
    words += f"\ndiamonds: {answer['method']} minus {answer['rival']}" if found else ""
    return _forest(path, rows, words, answer["lower_is_better"], rivals)


def write_differences(path: Path, cells: Sequence[Mapping[str, Any]], metric: str, result: Mapping[str, Any]) -> bool:
    """The differences of two runs in every cell that both have; whether there was anything to draw."""
    rows = [
        (f"{c['method']}, {condition(cells, c)}", c["metrics"][metric])
        for c in cells
        if c["metrics"].get(metric, {}).get("n")
    ]
    about = result["metrics"][metric]
    words = f"difference of {metric.upper()} ({about['unit']}), person by person"
    words += f", {round(100 * result['confidence'])} % interval"
    return bool(rows) and _forest(path, rows, words, about["lower_is_better"], [])


def _forest(
    path: Path,
    rows: Sequence[tuple[str, Mapping[str, Any]]],
    words: str,
    lower: bool,
    rivals: Sequence[Mapping[str, Any] | None],
) -> bool:
    """Means with intervals about zero, a row each; the rivals' thinner below them."""
    figure, axes = _figure(8.4, 0.34 * len(rows) + 1.35)
    for y, rival in enumerate(rivals):
        if rival:
            axes.plot([rival["low"], rival["high"]], [y + 0.24] * 2, color=_GOLD, linewidth=1.4, zorder=2)
            axes.plot(rival["mean"], y + 0.24, "D", color=_GOLD, markersize=3.6, zorder=3)
    for y, (_, gain) in enumerate(rows):
        colour = _VERDICTS[gain["verdict"]]
        axes.plot([gain["low"], gain["high"]], [y, y], color=colour, linewidth=2.4, solid_capstyle="round", zorder=4)
        axes.plot(gain["mean"], y, "o", color=colour, markersize=6.5, zorder=5)
    axes.axvline(0, color=_INK, linewidth=1)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], color=_INK)
    axes.set_ylim(len(rows) - 0.45, -0.6)
    axes.grid(axis="y", visible=False)
    ends = [0.0] + [g[end] for g in (*(gain for _, gain in rows), *filter(None, rivals)) for end in ("low", "high")]
    pad = 0.08 * (max(ends) - min(ends)) or 1.0
    axes.set_xlim(min(ends) - pad, max(ends) + pad)
    for x, side, align in zip(
        (0, 1), ("← better", "worse →") if lower else ("← worse", "better →"), ("left", "right"), strict=True
    ):
        axes.text(x, 1.02, side, transform=axes.transAxes, ha=align, color=_QUIET, fontsize=9)
    axes.set_xlabel(words, color=_QUIET, fontsize=9)
    return _save(figure, path)


def _sizes(path: Path, report: Mapping[str, Any]) -> bool:
    """Error over the occluder's side: a line a method, its interval as a band; dashed: the worst place."""
    names = main_metrics(report)[:3]
    series = _series(report)
    if not series:
        return False
    methods = list(dict.fromkeys(m["name"] for cells in series for cell in cells for m in cell["methods"]))
    colours = method_colours(report)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.1 * len(names), 3.6), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, metric in zip(panels, names, strict=True):
        _style(axes)
        for cells in series:
            which = joints_of(report, cells[0])
            for method in methods:
                found = [(cell["size"], value_of(cell, method, metric, which)) for cell in cells]
                known = [(size, value) for size, value in found if value]
                if len(known) < 2:
                    continue
                x = [size for size, _ in known]
                worst = bool(cells[0]["choose"])
                label = None if worst else method
                style = {"color": colours[method], "linewidth": 1.6, "marker": "o", "markersize": 3}
                axes.plot(x, [v["mean"] for _, v in known], label=label, linestyle="--" if worst else "-", **style)
                if not worst:
                    low, high = [v["low"] for _, v in known], [v["high"] for _, v in known]
                    axes.fill_between(x, low, high, color=colours[method], alpha=0.13, linewidth=0)
        unit, lower = report["metrics"][metric]["unit"], report["metrics"][metric]["lower_is_better"]
        axes.set_title(
            f"{metric.upper()} ({unit}), {'lower' if lower else 'higher'} is better", fontsize=9.5, loc="left"
        )
        axes.set_xlabel("side of the patch, px of 224", fontsize=9, color=_QUIET)
    handles = {}
    for axes in panels:
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    if any(cells[0]["choose"] for cells in series):
        from matplotlib.lines import Line2D

        handles["dashed: the worst place"] = Line2D([], [], color=_QUIET, linestyle="--")
    figure.legend(
        handles.values(), handles, loc="outside lower center", ncols=min(6, len(handles)), frameon=False, fontsize=9
    )
    return _save(figure, path)


def _series(report: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    """Cells of one set and protocol that differ in the occluder's size."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    first = report["sets"][0]["name"]
    for cell in report["cells"]:
        if cell["size"] is not None and cell["set"] == first and cell["people"]:
            groups.setdefault((cell["set"], cell["protocol"]), []).append(cell)
    found = [sorted(cells, key=lambda cell: cell["size"]) for cells in groups.values() if len(cells) > 1]
    # A grid's mean beside a place of one's own says the same twice: it is in the tables.
    lines = [cells for cells in found if cells[0]["choose"]] + [
        max((cells for cells in found if not cells[0]["choose"]), key=len, default=[])
    ]
    return [cells for cells in lines if cells]


def _places(path: Path, report: Mapping[str, Any]) -> bool:
    """Where on the picture a patch hurts the start most, on average."""
    shown = []
    metric = next(iter(report["metrics"]))
    for cell in report["cells"]:
        for start in cell["starts"][:1]:
            values = start["places"].get(metric, [])
            side = math.isqrt(len(values))
            if side >= 3 and side * side == len(values) and all(value is not None for value in values):
                shown.append((cell, np.reshape(values, (side, side))))
    if not shown:
        return False
    from matplotlib.figure import Figure

    shown = shown[:4]
    figure = Figure(figsize=(2.9 * len(shown) + 0.6, 3.0), layout="constrained")
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    low, high = min(table.min() for _, table in shown), max(table.max() for _, table in shown)
    lower = report["metrics"][metric]["lower_is_better"]
    for axes, (cell, table) in zip(panels, shown, strict=True):
        drawn = axes.imshow(table, cmap="magma" if lower else "magma_r", vmin=low, vmax=high)
        axes.set_title(f"{cell['set']}, {cell['title']}", fontsize=9.5, loc="left", color=_INK)
        axes.set_xticks([])
        axes.set_yticks([])
        for side in axes.spines.values():
            side.set_visible(False)
    bar = figure.colorbar(drawn, ax=list(panels), shrink=0.85)
    bar.set_label(f"{metric.upper()} ({report['metrics'][metric]['unit']})", fontsize=9, color=_QUIET)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, colors=_QUIET)
    return _save(figure, path)


def _time(path: Path, report: Mapping[str, Any]) -> bool:
    """Seconds a person by method, over all cells."""
    rows = method_seconds(report)
    if not rows:
        return False
    figure, axes = _figure(6.4, 0.36 * len(rows) + 0.8)
    colours = method_colours(report)
    for y, (name, seconds) in enumerate(rows):
        axes.barh(y, seconds, 0.62, color=colours[name])
        axes.text(seconds, y, f" {seconds:.2g} s", va="center", fontsize=9, color=_INK)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], color=_INK)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.18 * max(seconds for _, seconds in rows))
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("median seconds a person", fontsize=9, color=_QUIET)
    return _save(figure, path)


def method_seconds(report: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The median of a method's cells, each the median of its people; fits alone."""
    times: dict[str, list[float]] = {}
    for cell in report["cells"]:
        for method in cell["methods"]:
            if method["fits"] and method["seconds"]:
                times.setdefault(method["name"], []).append(method["seconds"])
    return [(name, float(np.median(values))) for name, values in times.items()]


def method_colours(report: Mapping[str, Any]) -> dict[str, str]:
    """A colour for every method; greys first for plain starts."""
    fits = (COLOURS[1 + i % (len(COLOURS) - 1)] for i in range(len(report["methods"])))
    greys = iter(("#8a919c", "#5b626c", "#b3b9c2", "#3f454d"))
    return {method["name"]: next(fits) if method["fit"] else next(greys, "#8a919c") for method in report["methods"]}


def _figure(width: float, height: float):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    _style(axes)
    return figure, axes


def _style(axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#c9ced6")
    axes.tick_params(labelsize=9, colors=_QUIET, length=3)
    axes.grid(axis="both", color=_RULE, linewidth=0.7)
    axes.set_axisbelow(True)


def _save(figure, path: Path) -> bool:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    # Fixed names inside and no date: the same numbers give the same file.
    with rc_context({"svg.hashsalt": "nbf", "svg.fonttype": "path"}):
        figure.savefig(path, metadata={"Date": None})
    return True
