"""``nbf-run bench``: plan, do what is not done yet, report. A run can be ended at any moment and gone on with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from nbf_core.config import Pipeline
from nbf_core.config.pipeline import resolve
from nbf_core.errors import ConfigError, InputError
from nbf_core.plugins import get_plugin_manager
from nbf_run.bench.measuring import unfinished
from nbf_run.bench.plan import Item, Plan, make_plan, search_key, shard_key
from nbf_run.bench.published import published_beside
from nbf_run.bench.reporting import weights_of, write_all
from nbf_run.bench.schedule import run_here, run_on
from nbf_run.bench.store import FOLDER, Store
from nbf_run.bench.workshop import Workshop
from nbf_run.options import read_pipeline
from nbf_run.run_info import write_run_info

Progress = Callable[[str, int, int], None]
"""Hears what is measured, how much of the work is done, and how much there is (in fits, roughly)."""


def bench(
    source: str | Path | None,
    out: str | Path | None = None,
    overrides: Iterable[tuple[str, Any]] = (),
    progress: Progress | None = None,
    resume: str | Path | None = None,
    store: Path | None = None,
) -> dict[str, Any]:
    """Run the benchmark of the built-in pipeline or TOML file ``source`` and write its report into ``out``.

    ``resume`` is the folder of an earlier run, which is gone on with: by its own pipeline where ``source`` is None.
    What is finished there and has not changed since is not measured again. ``store`` keeps finished results somewhere
    else than in ``out``. Returns the content of ``report.json``.

    A sample that cannot be used is listed with its reason under ``failed`` and costs only itself. Raises ConfigError,
    PluginError or AssetError before anything is measured, InputError where no sample was usable.
    """
    out = _folder(out, resume)
    overrides = list(overrides)
    several = _several(source, resume)
    if several is not None:
        from nbf_run.bench.several import bench_several

        return bench_several(several, out, overrides, progress)
    workshop = _workshop(source, overrides, resume)
    plan = make_plan(workshop)
    published_beside(workshop)  # a table that does not exist is said now, not after the work
    out.mkdir(parents=True, exist_ok=True)
    run = write_run_info(out, workshop.base, "bench", weights_of(workshop, plan), workshop.device.type)
    place = Store(store or out / FOLDER)
    if resume is not None:
        _forget_failures(workshop, plan, place)
    began = time.perf_counter()
    _work(workshop, plan, place, progress)
    run["seconds"] = time.perf_counter() - began
    report = write_all(out, workshop, plan, place, run)
    _something(workshop, report)
    return report


def rebuild(folder: str | Path) -> dict[str, Any]:
    """The report of a run out of what is finished of it, also where it was ended early; returned and written anew.

    Raises ConfigError where the folder holds no benchmark.
    """
    folder = Path(folder)
    if _several(None, folder) is not None:
        inside = ", ".join(str(path.parent) for path in sorted(folder.glob("*/run.json"))) or "none yet"
        raise ConfigError(f"{folder}: holds several benchmarks; name one of them: {inside}")
    workshop = _workshop(None, [], folder)
    plan = make_plan(workshop)
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return write_all(folder, workshop, plan, Store(folder / FOLDER), run)


def _work(workshop: Workshop, plan: Plan, store: Store, progress: Progress | None) -> None:
    left = [item for item in plan.items if unfinished(workshop, plan.cells[item.cell], item, store)]
    total = sum(map(plan.weight, plan.items))
    done = total - sum(map(plan.weight, left))

    def finished(item: Item) -> None:
        nonlocal done
        done += plan.weight(item)
        if progress is not None:
            cell = plan.cells[item.cell]
            progress(f"{cell.set}, {cell.title}", done, total)

    if not left:
        return
    if progress is not None:
        progress("beginning" if done == 0 else "going on", done, total)
    devices = workshop.options.devices
    if len(devices) > 1:
        call = {"source": str(workshop.source), "table": workshop.base.table, "store": str(store.root)}
        run_on(devices, call, left, finished)
    else:
        torch.manual_seed(workshop.base.seed)
        run_here(workshop, plan, left, store, finished)


def _forget_failures(workshop: Workshop, plan: Plan, store: Store) -> None:
    for cell in plan.cells:
        for name in cell.methods:
            store.forget_failures(shard_key(workshop, cell, name))
            if cell.case.choose:
                store.forget_failures(search_key(workshop, cell, name))


def _several(source: str | Path | None, resume: str | Path | None) -> Pipeline | None:
    """The pipeline, where it only includes others: what is to be changed is then changed in each of those."""
    source, table = _named(source, resume)
    if table is None:
        table = resolve(source, get_plugin_manager())
    return read_pipeline(source, needs=(), table=table) if table.get("bench", {}).get("include") else None


def _workshop(source: str | Path | None, overrides: list[tuple[str, Any]], resume: str | Path | None) -> Workshop:
    source, table = _named(source, resume)
    workshop = Workshop(source, overrides, table=table)
    devices = workshop.options.devices
    return Workshop(source, overrides, devices[0], table) if len(devices) == 1 else workshop


def _named(source: str | Path | None, resume: str | Path | None) -> tuple[str | Path, dict[str, Any] | None]:
    """What to read: a pipeline, or the table that an earlier run began with."""
    if source is not None:
        return source, None
    if resume is None:
        raise ConfigError("PIPELINE: name what to measure with (or --resume DIR to go on there)")
    table = _begun(Path(resume))
    return str(table.get("name", resume)), table


def _begun(folder: Path) -> dict[str, Any]:
    """The pipeline of an earlier run."""
    try:
        info = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        if info["task"] == "bench":
            return info["pipeline"]["table"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ConfigError(f"{folder}: holds no benchmark to go on with")


def _folder(out: str | Path | None, resume: str | Path | None) -> Path:
    if out is None and resume is None:
        raise ConfigError("--out DIR: a folder to write to is missing (or --resume DIR to go on there)")
    folder = Path(resume if out is None else out)
    same = resume is not None and folder.resolve() == Path(resume).resolve()
    if not same and (folder / "run.json").exists():
        raise ConfigError(f"{folder}: holds a run already; go on with --resume {folder}, or choose another folder")
    return folder


def _something(workshop: Workshop, report: dict[str, Any]) -> None:
    if any(cell["people"] for cell in report["cells"]):
        return
    first = next((failure for cell in report["cells"] for failure in cell["failed"]), None)
    reason = f"; the first: sample {first['sample']}: {first['reason']}" if first else ": the data set is empty"
    raise InputError(f"{workshop.base.name}: no sample could be used{reason}")
