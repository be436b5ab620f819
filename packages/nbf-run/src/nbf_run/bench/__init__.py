"""``nbf-run bench``: a pipeline's methods against its data set's truth. Importing this imports no torch."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "bench": "nbf_run.bench.runner",
    "compare_runs": "nbf_run.bench.comparing",
    "print_comparison": "nbf_run.bench.comparing",
    "print_report": "nbf_run.bench.tables",
    "rebuild": "nbf_run.bench.runner",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
