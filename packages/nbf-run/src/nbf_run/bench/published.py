"""Published tables, each with its source, to stand beside one's own numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from nbf_core.errors import ConfigError
from nbf_run.bench.config import BenchOptions
from nbf_run.bench.workshop import Workshop

PUBLISHED_BODY = "SMPL"


def published_tables() -> dict[str, dict[str, Any]]:
    """The tables by name: ``title``, ``source``, ``metrics``, ``columns``, ``rows`` (a name, and cells)."""
    text = (files("nbf_run") / "bench" / "published.json").read_text(encoding="utf-8")
    return json.loads(text)["tables"]


def published_beside(workshop: Workshop) -> list[dict[str, Any]]:
    """The tables that a pipeline asks for. Raises ConfigError for an unknown one."""
    tables, found = published_tables(), []
    for name in workshop.options.published:
        if name not in tables:
            known = ", ".join(tables)
            raise ConfigError(f"{workshop.base.name}: bench.published: no table named {name!r}; known: {known}")
        found.append({"name": name, **tables[name]})
    return found


def differences(workshop: Workshop, set_name: str) -> list[str]:
    """In what a set differs from the published ones, in words; empty where numbers may be compared."""
    options, pipeline = workshop.options.sets[set_name], workshop.pipeline(set_name)
    found = []
    if options.published is None:
        found.append(f"other people: {pipeline.section('data').use}, not a published test set")
    body = pipeline.section("body").use
    if not body.startswith("smpl"):
        found.append(f"another body: {body}, not {PUBLISHED_BODY}, whose joint centres lie elsewhere")
    if options.joints == "smpl-24":
        found.append("other joints: the body's own 24, not the 14 of the Human3.6M regressor")
    return found


def column_of(options: BenchOptions, cell: Mapping[str, Any]) -> str | None:
    """The published column that a cell stands for: its set's own, or what ``bench.columns`` calls cell or protocol."""
    group = options.sets[cell["set"]].published
    named = options.columns.get(cell["title"], options.columns.get(cell["protocol"]))
    whole = not cell["size"] and not cell["choose"]
    if whole and group is not None:
        return group
    # Published occluders lie over the set of the clean column alone.
    return named if group is None or group == options.columns.get("clean") else None
