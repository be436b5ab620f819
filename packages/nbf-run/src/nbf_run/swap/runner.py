"""``nbf-run swap``: one fit and a small benchmark with each component that is installed, side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nbf_core.config.pipeline import SECTION_KINDS
from nbf_core.errors import ConfigError, NbfError
from nbf_core.plugins import get_plugin_manager
from nbf_run.bench import bench
from nbf_run.bench.files import slug
from nbf_run.jsons import plain, write_json
from nbf_run.run_info import write_run_info
from nbf_run.stored import KEYPOINTS
from nbf_run.stored_bench import read_bodies
from nbf_run.swap.agreement import apart, drawings, joints_of, overlap
from nbf_run.swap.variants import Lacking, Trials, Tried
from nbf_run.tasks import shipped_photos

Step = Callable[[str, int, int], None]

OWN, PEOPLE = "as the pipeline", "people"
"""The method that exchanges nothing, and the set that everything is measured on."""

_METRICS = ("mpjpe", "pa-mpjpe")


def swap(
    source: str | Path = "swap",
    out: str | Path = "nbf-swap",
    photo: str | Path | None = None,
    overrides: Iterable[tuple[str, Any]] = (),
    step: Step | None = None,
) -> dict[str, Any]:
    """Exchange one component of the pipeline ``source`` at a time and write what that changes into ``out``.

    Each installed component of ``swap.sections`` fits one person of ``photo`` (a shipped one unless given), and the
    people of the pipeline's ``[bench]``. One that cannot run here is listed with its reason. Returns the content of
    ``report.json``. Raises ConfigError, PluginError, AssetError or InputError where the pipeline itself cannot run.
    """
    began, out, overrides = time.perf_counter(), Path(out), list(overrides)
    if (out / "run.json").exists():
        raise ConfigError(f"{out}: holds a run already; choose another folder")
    step = step or (lambda what, done, total: None)
    photo = Path(photo) if photo is not None else shipped_photos()[-1]
    trials = Trials(source, overrides, photo, out)
    tried, lacking = _try_all(trials, step)
    out.mkdir(parents=True, exist_ok=True)
    run = write_run_info(out, trials.base, "swap", trials.own.loaded.weights, trials.own.loaded.device.type)
    renderers = [one for one in tried if one.variant.section == "renderer"]
    drawings(trials.own, renderers)
    measured = _measure(trials, tried, out / "bench", step)
    report = plain(
        {
            "schema": 1,
            "kind": "swap",
            "pipeline": trials.base.name,
            "photo": str(photo),
            "people": trials.base.options["bench"].samples,
            "conditions": [cell["title"] for cell in measured["cells"] if cell["set"] == PEOPLE],
            "sections": [_section(trials, section, tried, measured, out) for section in trials.options.sections],
            "missing": [{"section": one.section, "name": one.name, "reason": one.reason} for one in lacking],
            "seconds": time.perf_counter() - began,
            "run": run,
            "page": "index.html",
        }
    )
    from nbf_run.swap.page import write_page

    write_page(out, report, tried)
    write_json(out / "report.json", report)
    return report


def _try_all(trials: Trials, step: Step) -> tuple[list[Tried], list[Lacking]]:
    """Fit the photo with everything."""
    variants = [variant for section in trials.options.sections for variant in trials.variants(section)]
    tried, lacking = [], []
    for number, variant in enumerate(variants):
        step("one photo", number, len(variants))
        found = trials.run(variant)
        (tried if isinstance(found, Tried) else lacking).append(found)
    step("one photo", len(variants), len(variants))
    return tried, lacking


def _measure(trials: Trials, tried: list[Tried], out: Path, step: Step) -> dict[str, Any]:
    """The benchmark of all variants that ran: renderers and fitters are its methods, bodies its sets."""
    data = trials.base.options["bench"].sets.get(PEOPLE)
    shared = {} if data is None else dict(data.set)
    methods: dict[str, Any] = {"start": {"fit": False}, OWN: {}}
    sets: dict[str, Any] = {PEOPLE: {"set": shared}}
    for one in tried:
        if one.variant.own:
            continue
        if one.variant.section == "body":
            sets[one.variant.title] = {"set": shared | dict(one.variant.changes), "optional": True}
        else:
            methods[one.variant.title] = {"set": dict(one.variant.changes), "optional": True}
    bodies = [name for name in sets if name != PEOPLE]
    matrix = [{"sets": [PEOPLE], "methods": list(methods)}]
    matrix += [{"sets": bodies, "methods": ["start", OWN]}] if bodies else []
    changes = [("bench.methods", methods), ("bench.sets", sets), ("bench.matrix", matrix), ("bench.answer", {})]

    def heard(what: str, done: int, total: int) -> None:
        step("small benchmark", done, total)

    return bench(trials.source, out, [*trials.overrides, *changes], heard)


def _section(
    trials: Trials, section: str, tried: list[Tried], measured: Mapping[str, Any], out: Path
) -> dict[str, Any]:
    """All variants of one section, with what they have in common with the pipeline's own, and what they cost."""
    kind = SECTION_KINDS[section]
    rows = []
    for one in tried:
        variant = one.variant
        if variant.section != section:
            continue
        before, after = one.person.keypoint_errors
        rows.append(
            {
                "name": variant.name,
                "from": get_plugin_manager().provider(kind, variant.name),
                "own": variant.own,
                "note": variant.note,
                "photo": {
                    "apart_mm": apart(one.person.fitted.joints, trials.own.person.fitted.joints),
                    "overlap": overlap(one.image, trials.own.image),
                    "keypoint_error": {"start": before, "fit": after},
                    "seconds": one.seconds,
                },
                "drawn": one.drawn or None,
                "bench": _measured(trials, one, measured, out / "bench"),
            }
        )
    return {"section": section, "kind": kind, "rows": rows}


def _measured(trials: Trials, one: Tried, report: Mapping[str, Any], folder: Path) -> dict[str, Any] | None:
    """The means over all conditions of a variant in the benchmark; None where it could not be measured."""
    variant = one.variant
    is_body = variant.section == "body" and not variant.own
    set_name = variant.title if is_body else PEOPLE
    method = OWN if variant.own or is_body else variant.title
    values: dict[str, list[float]] = {}
    for cell in report["cells"]:
        entry = next((m for m in cell["methods"] if m["name"] == method), None)
        if cell["set"] != set_name or entry is None:
            continue
        for name in _METRICS:
            value = entry["metrics"].get(name, {}).get("all")
            values.setdefault(name, []).append(np.nan if not value or value["mean"] is None else value["mean"])
        values.setdefault("seconds", []).append(entry["seconds"] if entry["seconds"] is not None else np.nan)
        values.setdefault("failed", []).append(len(entry["failed"]))
        values.setdefault("apart_mm", []).append(_apart(trials, one, (set_name, method), cell["title"], folder))
    if not values:
        return None
    mean = {name: float(np.mean(some)) for name, some in values.items()}
    return {**mean, "failed": int(sum(values["failed"]))}


def _apart(trials: Trials, one: Tried, where: tuple[str, str], title: str, folder: Path) -> float:
    """How far a variant's bodies are from those of the pipeline as it is, over the people that both fitted."""
    found = []
    for (set_name, method), loaded in ((where, one.loaded), ((PEOPLE, OWN), trials.own.loaded)):
        file = folder / "results" / slug(set_name) / slug(title) / slug(method) / KEYPOINTS
        try:
            found.append(joints_of(loaded.body, read_bodies(file)[0]))
        except NbfError:
            return float("nan")
    shared = [number for number in found[0] if number in found[1]]
    return float(np.mean([apart(found[0][i], found[1][i]) for i in shared])) if shared else float("nan")
