"""One picture of a benchmark: bars by case and method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

COLOURS = ("#9aa3ad", "#e69f00", "#56b4e9", "#0072b2", "#cc79a7", "#009e73", "#d55e00", "#6c5ce7")
"""Okabe and Ito's palette, told apart by colour-blind readers; the first, grey, is the start."""


def write_chart(path: Path, report: dict[str, Any]) -> None:
    """Bars of the first three metrics, all joints, with intervals; hatched where the truth was the start."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(report["metrics"])[:3]
    cases, methods = report["cases"], report["cases"][0]["methods"]
    figure = Figure(figsize=(1.6 + 0.34 * len(cases) * (len(methods) + 1.5), 2.6 * len(names) + 0.9))
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    width = 0.85 / len(methods)
    for axes, name in zip(panels, names, strict=True):
        for m, method in enumerate(methods):
            found = [case["methods"][m]["metrics"].get(name, {}).get("all") for case in cases]
            drawn = [(c, one) for c, one in enumerate(found) if one and one["mean"] is not None]
            places = [c + (m - (len(methods) - 1) / 2) * width for c, _ in drawn]
            means = [one["mean"] for _, one in drawn]
            spread = [
                [one["mean"] - one["low"] for _, one in drawn],
                [one["high"] - one["mean"] for _, one in drawn],
            ]
            axes.bar(
                places,
                means,
                0.92 * width,
                yerr=spread,
                label=method["name"],
                color=COLOURS[m % len(COLOURS)],
                hatch="///" if method["start"] == "truth" else None,
                edgecolor="white" if method["start"] == "truth" else None,
                error_kw={"elinewidth": 1, "capsize": 2, "ecolor": "#333333"},
            )
        unit, lower = report["metrics"][name]["unit"], report["metrics"][name]["lower_is_better"]
        axes.set_ylabel(f"{name} ({unit})\n{'lower' if lower else 'higher'} is better")
        axes.set_xticks(range(len(cases)), [case["name"] for case in cases])
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
    people = max(case["people"] for case in cases)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(3, len(labels)), frameon=False, fontsize=9)
    figure.supxlabel(f"mean over up to {people} people, {round(100 * report['confidence'])} % interval", fontsize=9)
    figure.set_layout_engine("constrained")
    figure.savefig(path, dpi=150)
