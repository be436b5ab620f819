"""What a run needs to be run again: ``run.json`` in every run directory."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from nbf_core.config import Pipeline
from nbf_core.plugins.manager import GROUP
from nbf_core.weights import Weights
from nbf_run.jsons import write_json

_LIBRARIES = ("torch", "numpy", "pydantic", "roma", "numba", "pillow", "safetensors", "lightning")


def write_run_info(
    out: Path, pipeline: Pipeline, task: str, weights: Weights | None = None, device: str = "cpu"
) -> dict[str, Any]:
    """Write ``run.json`` into the run directory ``out``, and return it.

    It holds the resolved pipeline, versions, seed, machine and command of this process, and of the weights
    (where any are used) what they say of themselves. ``task`` is what is done: "fit", "train". A run that goes on in
    the same folder keeps what its earlier processes wrote, the oldest first, under ``earlier``.
    """
    info = {
        "schema": 1,
        "task": task,
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "folder": str(Path.cwd()),
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "pipeline": {"name": pipeline.name, "table": pipeline.table},
        "seed": pipeline.seed,
        "weights": None if weights is None else {"file": weights.path.name, "metadata": weights.metadata},
        "versions": versions(),
        "machine": machine(device),
        "earlier": _earlier(out / "run.json", task),
    }
    write_json(out / "run.json", info)
    return info


def _earlier(path: Path, task: str) -> list[dict[str, Any]]:
    """What former processes of this run wrote; none where the file is missing, damaged or of another task."""
    try:
        former = json.loads(path.read_text(encoding="utf-8"))
        if former["task"] != task:
            return []
        return [*former.pop("earlier", []), former]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def versions() -> dict[str, str]:
    """Python, every installed nbf distribution and plugin, and the libraries that numbers depend on."""
    own = {d.name: d.version for d in importlib.metadata.distributions() if (d.name or "").startswith("nbf-")}
    own |= {p.dist.name: p.dist.version for p in importlib.metadata.entry_points(group=GROUP) if p.dist}
    found = {"python": platform.python_version(), **dict(sorted(own.items()))}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine(device: str = "cpu") -> dict[str, Any]:
    """What the run ran on."""
    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": name,
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": device,
    }
