"""What was exchanged, in words and pictures: tables for the terminal, and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from nbf_run import __version__
from nbf_run.bench.tables import Table, show_table
from nbf_run.swap.variants import Tried
from nbf_run.view.layers import draw

if TYPE_CHECKING:
    from rich.console import Console

TITLES = {"renderer": "Renderers", "fitter": "Fitters", "body": "Body models"}

HEADS = {
    "mm": "agreement: mean distance of the 24 joints from those of the pipeline as it is, pelvis on pelvis",
    "%": "agreement: overlap of the two bodies in the picture, by their union",
    "s": "cost: seconds of the fit, of the photo’s person; of people the median where they are fitted together",
    "MPJPE, PA-MPJPE": "error against the true body, mm, means over conditions; with another body people have it",
    "drawn": "one and the same body drawn by each renderer: overlap with the silhouette of the pipeline’s own, and "
    "milliseconds of a picture of 96 px with its gradient",
}
"""What the columns of the tables are."""

_SIDE = 320


def table_of(section: Mapping[str, Any]) -> Table:
    """A section's variants: agreement and cost on the photo and in the benchmark, and drawn."""
    drawn = any(row["drawn"] for row in section["rows"])
    header = [section["section"], "photo mm", "photo %", "photo s"]
    header += ["drawn %", "drawn ms"] if drawn else []
    header += ["people mm", "people MPJPE", "people PA-MPJPE", "people s"]
    rows = []
    for row in section["rows"]:
        photo, measured, picture = row["photo"], row["bench"] or {}, row["drawn"] or {}
        cells = [f"{row['name']} *" if row["own"] else row["name"]]
        cells += [_number(photo["apart_mm"]), _number(photo["overlap"]), _number(photo["seconds"], 2)]
        cells += [_number(picture.get("overlap")), _number(picture.get("ms"))] if drawn else []
        cells += [_number(measured.get(name)) for name in ("apart_mm", "mpjpe", "pa-mpjpe")]
        rows.append([*cells, _number(measured.get("seconds"), 2)])
    return header, rows


def print_report(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Print the tables, and what could not run."""
    from rich.console import Console as Terminal

    console = console or Terminal()
    for section in report["sections"]:
        show_table(console, TITLES[section["section"]], *table_of(section))
        for row in section["rows"]:
            if row["note"]:
                console.print(f"{row['name']}: {row['note']}", markup=False, highlight=False)
    for one in report["missing"]:
        console.print(f"{one['section']} {one['name']} cannot run here: {one['reason']}", markup=False, highlight=False)
    words = "*: the pipeline's own, which mm (of 24 joints) and % (of the silhouettes' overlap) are agreement with. "
    words += f"{report['people']} people: {', '.join(report['conditions'])}. {report['seconds']:.0f} s in all."
    console.print(words, markup=False, highlight=False)


def write_page(out: Path, report: Mapping[str, Any], tried: Sequence[Tried]) -> None:
    """Write the pictures and the page."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader

    environment = Environment(
        loader=ChoiceLoader([PackageLoader("nbf_run.swap"), PackageLoader("nbf_run.report")]),
        autoescape=True, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    sections = []
    for section in report["sections"]:
        own = [one for one in tried if one.variant.section == section["section"]]
        pictures = [{"name": one.variant.name, "file": _picture(out, one)} for one in own]
        header, rows = table_of(section)
        sections.append(
            {
                "title": TITLES[section["section"]],
                "header": header,
                "rows": list(zip(rows, section["rows"], strict=True)),
                "pictures": pictures,
                "missing": [one for one in report["missing"] if one["section"] == section["section"]],
            }
        )
    text = environment.get_template("swap.html.j2").render(
        report=report, sections=sections, heads=HEADS, colophon=f"Made by nbf-run {__version__}."
    )
    (out / report["page"]).write_text(text, encoding="utf-8")


def _picture(out: Path, one: Tried) -> str:
    name = f"{one.variant.section}-{one.variant.name}.jpg".replace("/", "-")
    Image.fromarray(draw(one.image, "fit", 0, _SIDE)).save(out / name, quality=90, subsampling=0)
    return name


def _number(value: float | None, digits: int = 1) -> str:
    return "–" if value is None or value != value else f"{value:.{digits}f}"
