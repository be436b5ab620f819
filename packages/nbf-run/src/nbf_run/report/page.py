"""The page that shows a run: one HTML file beside its pictures; needs no server and no network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nbf_run import __version__
from nbf_run.report import drawing
from nbf_run.report.credits import Credit

_CAPTIONS = {
    "photo": ("Input and its keypoints: the person’s left blue, right red", "Input with keypoints"),
    "start": ("Start: the network’s estimate", "Estimated body over the picture"),
    "fit": ("Fit: the body that explains the picture best", "Fitted body over the picture"),
    "occlusion": ("Occlusion: red where something else explains the picture better", "Occlusion mask"),
    "side": (
        "The fit from its side; the camera stood to the left (if it looked down, people lean towards it)",
        "Fitted body from the side",
    ),
    "animation": ("The fit, from the estimate on; notches are where stages begin", "Animation of the fit"),
    "trace": ("Every weighted term of the objective over the steps; dashed: stages", "Chart of the fit's terms"),
}

_ABOUT_PHOTOS = (
    "Each row is one person: what came in, the estimate that the network makes, and the result. "
    "Keypoint error is the mean distance to the detector’s keypoints, in percent of the person’s "
    "size. It says how well the body lies on the picture, not whether its depth is right: look at the "
    "side view."
)

_ABOUT_SAMPLES = (
    "Rendered people of the test set with a square laid over them. Their true pose is known, so these "
    "rows give errors in millimetres over all joints, hidden ones too: MPJPE after moving the pelvis "
    "onto the true one, PA-MPJPE after the best similarity. Measured on this free body; not "
    "comparable with numbers on SMPL bodies."
)


@dataclass(frozen=True)
class Heading:
    """Words at the top of a page."""

    title: str
    lede: str


def write_page(
    path: Path,
    heading: Heading,
    report: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    credits: Sequence[Credit] = (),
) -> None:
    """Write the page of a run.

    ``records`` are those of its photos, with ``files`` relative to the page's folder.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("nbf_run.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    photos = [record for record in records if not record["synthetic"]]
    rendered = [record for record in records if record["synthetic"]]
    sections = [
        {"title": "Photos", "about": _ABOUT_PHOTOS, "people": _people(photos)},
        {"title": "Synthetic people behind a patch", "about": _ABOUT_SAMPLES, "people": _people(rendered)},
    ]
    text = environment.get_template("page.html.j2").render(
        title=heading.title,
        lede=f"{heading.lede} {_means(report['trust'])}",
        pipeline=report["pipeline"],
        facts=_facts(report),
        colours={
            name: f"rgb{getattr(drawing, f'{key}_COLOUR')}"
            for name, key in (("start", "START"), ("fit", "FIT"), ("seen", "SEEN"), ("hidden", "HIDDEN"))
        },
        sections=sections,
        failures=[failure["error"] for failure in report["images"] if failure["status"] == "failed"],
        columns=_COLUMNS,
        rows=[row for record in records for row in _rows(record)],
        table_note="Start → fit. The objective is the fitter’s own loss; it is comparable within a row only.",
        film=report.get("film"),
        tracks=_tracks(report.get("tracks", ())),
        credits=credits,
        colophon=f"Made by nbf-run {__version__}. Everything here again, for programs:",
    )
    path.write_text(text, encoding="utf-8")


def _tracks(tracks: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each person of a film."""
    return [
        f"person {track['track'] + 1}: {track['frames']} frames, {track['kept']} fits kept, jitter "
        f"{number(track['jitter_mm']['start'])} → {number(track['jitter_mm']['fit'])} mm a squared frame"
        for track in tracks
    ]


_COLUMNS = ("Person", "Keypoint error", "Objective", "MPJPE mm", "PA-MPJPE mm", "Hidden", "Kept", "Seconds")


def _means(trust: float) -> str:
    """What the fit is made of, said in a sentence."""
    if trust <= 0:
        return (
            "These fits follow the keypoints alone: the network’s features have not been measured to be good "
            "enough to be trusted, so read the occlusion pictures with doubt."
        )
    if trust < 0.5:
        return (
            "A fit follows the detected keypoints first: the network’s features count for little, as their measured "
            "quality deserves, so read the occlusion pictures with doubt."
        )
    return "A fit follows the detected keypoints and the features that the network has learned."


def _facts(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    totals, parts = report["summary"], report["components"]
    errors = totals["keypoint_error_percent"]
    return [
        ("people fitted", f"{totals['people']} in {totals['images'] - totals['failed']} pictures"),
        ("median keypoint error", f"{number(errors['start'])} → {number(errors['fit'])} %"),
        ("fits kept", f"{totals['kept']} of {totals['people']}"),
        ("trust in features", f"{100 * report['trust']:.0f} %"),
        ("body", parts.get("body", "")),
        ("regressor", parts.get("regressor", "")),
        ("renderer", parts.get("renderer", "")),
        ("time", f"{totals['seconds']:.0f} s"),
    ]


def _people(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    shown = []
    for record in records:
        for position, person in enumerate(record["people"]):
            if "photo" not in person["files"]:  # a frame of a long film: not every one has figures
                continue
            files = {kind: quote(name) for kind, name in person["files"].items()}
            errors = person["keypoint_error_percent"]
            numbers = [("keypoint error", f"{number(errors['start'])}", f"{number(errors['fit'])} %")]
            numbers += [
                (name, number(pair["start"], 0), f"{number(pair['fit'], 0)} mm")
                for name, pair in person["errors_mm"].items()
            ]
            links = [("whole photo", quote(record["overlay"]))] if "overlay" in record else []
            links += [("mesh (GLB)", files["mesh"]), ("arrays (npz)", files["arrays"])]
            shown.append(
                {
                    "title": person_title(record, position),
                    "numbers": numbers,
                    "verdict": "" if person["kept"] else "fit not better than its start: start kept",
                    "links": [*links, ("numbers (JSON)", f"{quote(record['folder'])}/result.json")],
                    "figures": [
                        {
                            "src": files[kind],
                            "caption": caption,
                            "alt": f"{alt}: {person_title(record, position)}",
                        }
                        for kind, (caption, alt) in _CAPTIONS.items()
                        if kind in files
                    ],
                }
            )
    return shown


def _rows(record: Mapping[str, Any]) -> list[list[str]]:
    def arrow(pair: Mapping[str, float] | None, digits: int = 1, unit: str = "") -> str:
        return "–" if pair is None else f"{number(pair['start'], digits)} → {number(pair['fit'], digits)}{unit}"

    return [
        [
            person_title(record, position),
            arrow(person["keypoint_error_percent"], 1, " %"),
            arrow(person["loss"], 3),
            arrow(person["errors_mm"].get("MPJPE"), 0),
            arrow(person["errors_mm"].get("PA-MPJPE"), 0),
            f"{100 * person['occluded_share']:.0f} %",
            "yes" if person["kept"] else "no",
            f"{record['seconds'] / len(record['people']):.1f}",
        ]
        for position, person in enumerate(record["people"])
    ]


def person_title(record: Mapping[str, Any], position: int) -> str:
    """What a person is called: the photo's name, and a number where it shows several."""
    name = Path(record["image"]).name
    return name if len(record["people"]) == 1 else f"{name}, person {position + 1}"


def number(value: float | None, digits: int = 1) -> str:
    """A number for reading; a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"
