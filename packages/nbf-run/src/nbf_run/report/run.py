"""A run directory: one folder a photo, one page over all, machine-readable reports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nbf_core.config import Pipeline
from nbf_core.weights import Weights
from nbf_run.jsons import plain, write_json
from nbf_run.report.animation import suffix, write_fit_animation
from nbf_run.report.credits import Credit
from nbf_run.report.figures import person_figures, photo_figure
from nbf_run.report.files import image_record, write_person
from nbf_run.report.page import Heading, write_page
from nbf_run.report.trace import write_trace
from nbf_run.results import FittedImage, FittedPerson
from nbf_run.run_info import write_run_info
from nbf_run.stored import PICTURE, read_record, write_picture


@dataclass
class RunDirectory:
    """Writes results as they come. ``records``, ``failures`` and ``film`` are what ``report.json`` will hold."""

    out: Path
    pipeline: Pipeline
    records: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    film: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)

    def fail(self, name: str, error: Exception) -> None:
        """Note an input that could not be fitted."""
        self.failures.append({"image": name, "status": "failed", "error": str(error)})

    def add(self, image: FittedImage, figures: bool = True) -> dict[str, Any]:
        """Write the pictures, arrays and meshes of a photo's people into a folder of its own; its record.

        Without ``figures`` only what they can be made of again, and the overlay of the whole picture.
        """
        folder = self.out / self._folder(image.name)
        folder.mkdir(parents=True, exist_ok=True)
        record = image_record(image)
        write_picture(folder / PICTURE, image)
        for number, (person, entry) in enumerate(zip(image.people, record["people"], strict=True), start=1):
            names = write_person(folder, number, image, person, mesh=figures)
            for figure, picture in person_figures(image, person).items() if figures else ():
                names[figure] = f"person-{number}-{figure}.jpg"
                save_picture(folder / names[figure], picture)
            names |= self._course(folder, f"person-{number}", image, person)
            entry["files"] = {kind: f"{folder.name}/{name}" for kind, name in names.items()}
        if not image.synthetic:
            save_picture(folder / "photo.jpg", photo_figure(image))
            record["overlay"] = f"{folder.name}/photo.jpg"
        record["folder"] = folder.name
        write_json(folder / "result.json", record)
        self.records.append(record)
        return record

    def restore(self, folder: str) -> None:
        """Take a photo up again that an earlier run wrote. Raises InputError where it is damaged."""
        self.records.append(read_record(self.out / folder / "result.json"))

    def _course(self, folder: Path, stem: str, image: FittedImage, person: FittedPerson) -> dict[str, str]:
        """Chart and animation of the fit, where the pipeline asks for them; their names by kind."""
        if not self.pipeline.options["fit"].trace or person.track is not None:
            return {}
        names = {"trace": f"{stem}-trace.png", "animation": f"{stem}-animation{suffix()}"}
        made = {
            "trace": write_trace(folder / names["trace"], person, Path(image.name).name),
            "animation": write_fit_animation(folder / names["animation"], image, person),
        }
        return {kind: names[kind] for kind, there in made.items() if there}

    def finish(
        self,
        task: str,
        heading: Heading,
        trust: float,
        weights: Weights | None = None,
        credits: Sequence[Credit] = (),
    ) -> dict[str, Any]:
        """Write page, report and ``run.json``; returns the report."""
        write_run_info(self.out, self.pipeline, task, weights, self.pipeline.options["fit"].device)
        report = plain(
            {
                "schema": 1,
                "pipeline": self.pipeline.name,
                "components": {name: section.use for name, section in self.pipeline.sections.items()},
                "trust": trust,
                "page": str((self.out / "index.html").resolve()),
                "summary": summary(self.records, self.failures),
                "images": [*map(_without_bulk, self.records), *self.failures],
                **(self.film or {}),
            }
        )
        write_json(self.out / "report.json", report)
        write_page(self.out / "index.html", heading, report, self.records, credits)
        return report

    def _folder(self, name: str) -> str:
        """A folder name out of a file name, not used before in this run."""
        stem = re.sub(r"[^\w.-]+", "-", Path(name).stem).strip("-.") or "image"
        taken = {record["folder"] for record in self.records}
        number, folder = 1, stem
        while folder in taken:
            number += 1
            folder = f"{stem}-{number}"
        return folder


def save_picture(path: Path, picture: np.ndarray) -> None:
    """Write a JPEG of good quality."""
    Image.fromarray(picture).save(path, quality=90, subsampling=0, optimize=True)


def summary(records: Sequence[dict[str, Any]], failures: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Counts and medians over all people."""
    people = [person for record in records for person in record["people"]]

    def median(key: str, role: str) -> float:
        values = [person[key][role] for person in people]
        values = [value for value in values if value is not None and value == value]
        return float(np.median(values)) if values else float("nan")

    return {
        "images": len(records) + len(failures),
        "failed": len(failures),
        "people": len(people),
        "kept": sum(person["kept"] for person in people),
        "keypoint_error_percent": {role: median("keypoint_error_percent", role) for role in ("start", "fit")},
        "seconds": round(sum(record["seconds"] for record in records), 2),
    }


def _without_bulk(record: dict[str, Any]) -> dict[str, Any]:
    """What the overview repeats of a photo's own ``result.json``: no keypoints, no joints."""
    bulk = ("keypoints", "start", "fit", "keypoint_set")
    people = [{key: value for key, value in person.items() if key not in bulk} for person in record["people"]]
    return {**record, "people": people}
