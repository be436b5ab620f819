"""The page of a cross-view run: one HTML file beside its pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nbf_run import __version__
from nbf_run.crossview.placing import ALIGNMENTS
from nbf_run.crossview.summary import GROUPS
from nbf_run.crossview.tables import difference_table, main_table, view_table

LEDE = (
    "Every picture is fitted alone. Its body is then carried to the other cameras, whose places are known, and judged "
    "by the keypoints that a detector saw there. The truth here is a detector’s, not a motion capture system’s."
)


def write_page(path: Path, report: Mapping[str, Any], moments: Sequence[Mapping[str, Any]]) -> None:
    """Write the page. ``moments`` are titles with their strips of pictures, as files beside it."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader

    environment = Environment(
        loader=ChoiceLoader([PackageLoader("nbf_run.crossview"), PackageLoader("nbf_run.report")]),
        autoescape=True, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    data = report["data"]
    sections = []
    for group, about in GROUPS.items():
        header, rows = main_table(report, group)
        differences = [(rival, *difference_table(report, group, rival)) for rival in report["rivals"]]
        title = f"{about.capitalize()}: {data['pictures'][group]}"
        sections.append({"title": title, "header": header, "rows": rows, "differences": differences})
    views = [
        {"name": method["name"], "table": view_table(report, method)} for method in report["methods"] if method["views"]
    ]
    text = environment.get_template("crossview.html.j2").render(
        title="One picture’s body, seen from elsewhere",
        lede=LEDE,
        pipeline=report["pipeline"],
        facts=_facts(report),
        answer=answer(report),
        alignments=ALIGNMENTS,
        sections=sections,
        views=views,
        views_alignment=report["views_alignment"],
        moments=moments,
        notes=report["notes"],
        confidence=round(100 * report["confidence"]),
        colophon=f"Made by nbf-run {__version__}. Everything here again, for programs:",
    )
    path.write_text(text, encoding="utf-8")


def answer(report: Mapping[str, Any]) -> list[str]:
    """A sentence for each method that was fitted: how good, and against whom it is better."""
    lines = []
    for method in report["methods"]:
        value = method["results"]["all"]["pckh scaled"]
        if method["kind"] != "fit" or value["mean"] is None:
            continue
        changes = [_change(rival, change) for rival, change in value["against"].items() if change["low"] is not None]
        lines.append(
            f"{method['name']}: {value['mean']:.0f} % of the keypoints in the other views within half a head (scaled)"
            + "".join(f"; {change}" for change in changes)
            + "."
        )
    return lines


def _change(rival: str, change: Mapping[str, float]) -> str:
    verdict = "better than" if change["low"] > 0 else "worse than" if change["high"] < 0 else "not clearly other than"
    return f"{verdict} {rival} ({change['mean']:+.0f} points [{change['low']:+.0f}, {change['high']:+.0f}])"


def _facts(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    data = report["data"]
    return [
        ("pictures", f"{data['pictures']['all']}: {data['moments']} moments, {len(data['cameras'])} cameras"),
        ("half a head", f"{100 * report['limit']:.1f} cm"),
        ("keypoints that count", f"{data['known']} of {data['keypoints']}"),
        ("detector swapped sides", f"in {data['swapped']} pictures"),
        ("the truth’s own noise", f"{100 * data['noise']['median']:.1f} cm (median)"),
    ]
