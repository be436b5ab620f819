"""The course of a fit as a picture: every term over the steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nbf_run.results import FittedPerson

_INK, _QUIET, _LINE = "#23272e", "#8a919c", "#4a8ce2"


def write_trace(path: Path, person: FittedPerson, title: str) -> bool:
    """Draw the total and each weighted term in a panel of its own; whether there was anything to draw.

    Dashed lines are the starts of stages. Panels have scales of their own: a term of a thousandth beside one of
    three would be a flat line.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    terms = {name: values for name, values in person.trace.items() if name != "total" and np.any(values != 0)}
    if not len(person.trace.get("total", ())):
        return False
    order = sorted(terms, key=lambda name: name != "likelihood")
    panels = {"total": person.trace["total"], **{name: terms[name] for name in order}}
    columns = 2 if len(panels) > 3 else 1
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(5.2 * columns, 1.55 * rows + 0.9), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for axes, (name, values) in zip(grid.flat, panels.items(), strict=False):
        _panel(axes, name, np.asarray(values), person.stages)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_axis_off()
    for column in range(columns):
        grid[(len(panels) - 1 - column) // columns, column].tick_params(labelbottom=True)
    figure.supxlabel("step", fontsize=9, color=_QUIET)
    verdict = "" if person.kept else " (dropped: not better than the start)"
    figure.suptitle(f"{title}: weighted terms of the fit{verdict}", fontsize=11, color=_INK, x=0.01, ha="left")
    figure.savefig(path)
    return True


def _panel(axes, name: str, values: np.ndarray, stages: tuple[int, ...]) -> None:
    steps = np.arange(len(values))
    # A line across the beginning of a stage would join costs under different weights.
    edges = [*sorted({0, *stages}), len(values)]
    for first, end in zip(edges[:-1], edges[1:], strict=True):
        if first:
            axes.axvline(first - 0.5, color=_QUIET, linewidth=0.8, linestyle=(0, (4, 3)))
        if not values[first:end].any():  # a term without weight in this stage
            continue
        axes.plot(steps[first:end], values[first:end], color=_INK if name == "total" else _LINE, linewidth=1.5)
    axes.set_title(name, fontsize=9.5, color=_INK, loc="left", pad=3)
    axes.tick_params(labelsize=8, colors=_QUIET)
    axes.set_xlim(-1, len(values))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#c9ced6")
    axes.grid(axis="y", color="#edf0f3", linewidth=0.8)
    axes.set_axisbelow(True)
