"""A benchmark of benchmarks: several pipelines, each in a folder of its own, and one page over all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nbf_core.config import Pipeline
from nbf_core.errors import NbfError
from nbf_run import __version__
from nbf_run.bench.store import FOLDER
from nbf_run.bench.tables import missing_lines, missing_words
from nbf_run.jsons import plain, write_json
from nbf_run.run_info import write_run_info

Progress = Callable[[str, int, int], None]


def bench_several(
    pipeline: Pipeline, out: Path, overrides: list[tuple[str, Any]], progress: Progress | None
) -> dict[str, Any]:
    """Run every pipeline of ``bench.include`` below ``out``; results that two of them share are measured once.

    ``overrides`` are made in each of them. One that cannot be run at all is noted as missing. Returns the content of
    ``report.json``.
    """
    from nbf_run.bench.runner import bench

    names = pipeline.options["bench"].include
    out.mkdir(parents=True, exist_ok=True)
    changes = _settings(out, overrides)
    run = write_run_info(out, pipeline, "bench") | {"overrides": changes}
    write_json(out / "run.json", run)
    runs: list[dict[str, Any]] = []
    missing: list[dict[str, Any]] = []
    for number, name in enumerate(names, start=1):
        short = Path(name).stem
        folder = out / short

        def step(what: str, done: int, total: int, number: int = number, name: str = short) -> None:
            if progress is not None:
                progress(f"{name} ({number} of {len(names)}): {what}", (number - 1) * total + done, len(names) * total)

        begun = (folder / "run.json").is_file()
        try:
            report = bench(name, None if begun else folder, changes, step, folder if begun else None, out / FOLDER)
        except NbfError as error:
            missing.append({"kind": "pipeline", "name": short, "set": None, "reason": " ".join(str(error).split())})
            continue
        runs.append({"name": short, "folder": short, "page": f"{short}/{report['page']}", "report": report})
    result = {
        "schema": 2,
        "kind": "bench-all",
        "name": pipeline.name,
        "complete": all(one["report"]["complete"] for one in runs),
        "failed": sum(one["report"]["failed"] for one in runs),
        "missing": _distinct([*missing, *(entry for one in runs for entry in one["report"]["missing"])]),
        "runs": [_summary(one) for one in runs],
        "run": run,
        "page": "index.html",
    }
    _write_page(out / "index.html", result)
    write_json(out / "report.json", result)
    return plain(result)


def _summary(one: Mapping[str, Any]) -> dict[str, Any]:
    """What the page over all says of a run; the rest is in its own report."""
    report = one["report"]
    answer = report["answer"] or {}
    return {
        "name": one["name"],
        "page": one["page"],
        "report": f"{one['folder']}/report.json",
        "sentences": answer.get("sentences", []),
        "chart": f"{one['folder']}/charts/gains.svg" if answer else None,
        "sets": [{"name": entry["name"], "differs": entry["differs"]} for entry in report["sets"]],
        "cells": len(report["cells"]),
        "published": [table["title"] for table in report["published"]],
        "missing": report["missing"],
    }


def _distinct(missing: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for one in missing:
        found.setdefault(missing_words(one), one)
    return list(found.values())


def _settings(out: Path, overrides: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The overrides that an earlier run in this folder began with, and those given now."""
    try:
        former = json.loads((out / "run.json").read_text(encoding="utf-8")).get("overrides", [])
    except (OSError, ValueError):
        former = []
    return [*((key, value) for key, value in former), *overrides]


def _write_page(path: Path, result: Mapping[str, Any]) -> None:
    from nbf_run.bench.page import environment

    text = (
        environment()
        .get_template("all.html.j2")
        .render(
            result=result,
            missing=missing_lines(result["missing"]),
            colophon=f"Made by nbf-run {__version__}.",
        )
    )
    path.write_text(text, encoding="utf-8")
