"""``nbf-run crossview`` as a call: every method over every picture, scored in the other cameras."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from nbf_core.config import Pipeline
from nbf_core.errors import ConfigError
from nbf_core.weights import Weights
from nbf_run import build
from nbf_run.crossview.config import CrossviewOptions
from nbf_run.crossview.methods import Outcome, load_method, run_method
from nbf_run.crossview.page import write_page
from nbf_run.crossview.pictures import ALIGNMENT as VIEWS_ALIGNMENT
from nbf_run.crossview.pictures import chosen, strip, write_curves
from nbf_run.crossview.scene import SCORED, Scene, read_scene
from nbf_run.crossview.score import Scores, hits, others, score
from nbf_run.crossview.summary import METRICS, matrix, summarise
from nbf_run.crossview.tables import markdown, write_bodies, write_pairs
from nbf_run.jsons import write_json
from nbf_run.options import FIT_NEEDS, read_pipeline
from nbf_run.report.drawing import FIT_COLOUR, START_COLOUR
from nbf_run.report.run import save_picture
from nbf_run.run_info import write_run_info

Step = Callable[[str, int, int], None]


def crossview(
    source: str | Path, out: Path, overrides: Sequence[tuple[str, Any]] = (), step: Step = lambda *_: None
) -> dict[str, Any]:
    """Score a pipeline's methods across the views of its data set; writes ``report.json``, tables, pictures, a page.

    Returns the report. Raises ConfigError, PluginError, AssetError, or InputError for data that is not of several
    calibrated views.
    """
    pipeline = read_pipeline(source, overrides, needs=(*FIT_NEEDS, "data"))
    options: CrossviewOptions = pipeline.options["crossview"]
    if all(method.kind == "others" for method in options.methods.values()):
        raise ConfigError(f"{pipeline.name}: crossview.methods: none of them makes bodies")
    torch.manual_seed(pipeline.seed)
    dataset = build.build_dataset(pipeline, build.build_body(pipeline))
    scene = read_scene(dataset, options.moments, options.min_confidence, lambda n, total: step("pictures", n, total))
    limit = options.share * options.head * scene.trunk
    outcomes: dict[str, Outcome] = {}
    weights: Weights | None = None
    trusts: dict[str, float] = {}
    for name, method in options.methods.items():
        if method.kind == "others":
            continue
        loaded, _ = load_method(str(source), pipeline, method, overrides)
        if loaded is not None:
            weights = weights or loaded.weights
            trusts[name] = loaded.trust
        outcomes[name] = run_method(scene, loaded, method, lambda n, total, name=name: step(name, n, total))
    scores = {name: score(scene, outcome.points) for name, outcome in outcomes.items()}
    out.mkdir(parents=True, exist_ok=True)
    floor = others(scene)
    report = _report(pipeline, scene, scores, outcomes, limit)
    report["data"]["noise"] = _noise(floor, limit)
    for method in report["methods"]:
        method["trust"] = trusts.get(method["name"])
    report["run"] = write_run_info(out, pipeline, "crossview", weights, pipeline.options["fit"].device)
    report["page"] = str((out / "index.html").resolve())
    write_pairs(out / "pairs.csv", scene, scores, limit)
    write_bodies(out / "bodies.csv", scene, scores)
    write_curves(out / "curves.png", scores, floor, limit)
    moments = _write_pictures(out, scene, outcomes, options, step)
    (out / "report.md").write_text(markdown(report), encoding="utf-8")
    write_page(out / "index.html", report, moments)
    write_json(out / "report.json", report)
    return report


def _report(
    pipeline: Pipeline, scene: Scene, scores: Mapping[str, Scores], outcomes: Mapping[str, Outcome], limit: float
) -> dict[str, Any]:
    options: CrossviewOptions = pipeline.options["crossview"]
    reference = options.reference if options.reference in scores else next(iter(scores))
    rivals = list(dict.fromkeys([reference, *(name for name in scores if options.methods[name].kind == "detector")]))
    numbers = summarise(scene, scores, limit, rivals, (options.confidence, options.resamples, pipeline.seed))
    moments, views = scene.shape
    swapped = int(scene.swapped.sum())
    return {
        "schema": 1,
        "pipeline": pipeline.name,
        "rivals": rivals,
        "confidence": options.confidence,
        "limit": limit,
        "views_alignment": VIEWS_ALIGNMENT,
        "metrics": {name: {"unit": unit, "about": about} for name, (unit, about, _) in METRICS.items()},
        "data": {
            "moments": moments,
            "cameras": scene.cameras.tolist(),
            "trunk_m": scene.trunk,
            "scored": list(SCORED),
            "keypoints": scene.known.numel(),
            "known": int(scene.known.sum()),
            "swapped": swapped,
            "pictures": {"all": moments * views, "sides right": moments * views - swapped},
        },
        "notes": _notes(options, scene, limit),
        "methods": [
            {
                "name": name,
                "kind": options.methods[name].kind,
                "about": options.methods[name].about,
                "seconds": outcomes[name].seconds,
                "kept": outcomes[name].kept,
                "results": numbers[name],
                "views": matrix(scene, own, limit, VIEWS_ALIGNMENT),
            }
            for name, own in scores.items()
        ],
    }


def _noise(floor: torch.Tensor, limit: float) -> dict[str, Any]:
    """How well the keypoints of each view agree with those of the others, triangulated."""
    found, there = (float(value.sum()) for value in hits(floor, limit))
    known = floor[~floor.isnan()]
    middle = float(known.median()) if len(known) else None
    return {"median": middle, "pckh": 100 * found / there if there else None}


def _notes(options: CrossviewOptions, scene: Scene, limit: float) -> list[str]:
    moments, views = scene.shape
    counts = int(scene.known.sum())
    return [
        "The truth is what a detector saw in the other pictures, not motion capture. Its sides were set right and its "
        f"outliers left out where the data set says so: {counts} of {scene.known.numel()} keypoints count. A method "
        "that errs as the detector does is not found out where the views err alike.",
        f"PCKh: within {options.share:g} of a head, {100 * limit:.1f} cm at the person's distance from the camera. A "
        f"head is {options.head:g} of the trunk, whose length ({100 * scene.trunk:.1f} cm, shoulders to hips) is the "
        "triangulated one: no detector marks the top of a head, and a segment in the picture would shrink as the "
        "person leans.",
        "The fit sees one picture, and the keypoints that the detector found in it, swapped sides included.",
        "Joints are not defined alike: the truth has the detector's idea of a hip, bodies have their own. That is "
        "some centimetres in favour of the detector's own 3D points, and in the size of trunks.",
        "A detector's own 3D points have no place before the camera: they are put where they meet its own keypoints "
        "best.",
        "The distance between views says how much bodies of one moment disagree, not whether they are right: somebody "
        "who always answers with the same pose would agree with himself.",
        f"It is one person in {moments} moments of one movement. Neighbouring moments resemble one another, so the "
        "intervals are rather too narrow, and say nothing about other people.",
    ]


def _write_pictures(
    out: Path, scene: Scene, outcomes: Mapping[str, Outcome], options: CrossviewOptions, step: Step
) -> list[dict[str, Any]]:
    """Strips of the chosen moments; their titles and files for the page."""
    moments, picks = [], chosen(scene, options.pictures)
    for number, (moment, source) in enumerate(picks):
        step("drawing", number, len(picks))
        strips = []
        for name, outcome in [("keypoints", None), *outcomes.items()]:
            colour = START_COLOUR if outcome and options.methods[name].kind == "start" else FIT_COLOUR
            file = f"moment-{int(scene.moments[moment]):02d}-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.jpg"
            save_picture(out / file, strip(scene, outcome, moment, source, colour))
            caption = "The keypoints that the views agree on" if outcome is None else name
            strips.append({"src": file, "caption": caption})
        row = moment * scene.shape[1] + source
        wrong = " (the detector took left for right there)" if scene.swapped[moment, source] else ""
        moments.append({"title": f"Fitted to {scene.names[row]}{wrong}", "strips": strips})
        step("drawing", number + 1, len(picks))
    return moments
