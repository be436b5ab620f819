"""The orchestrator of nbf: pipelines of components met by name, the ``nbf-run`` command, reports.

``nbf_run.load("demo").fit(["photo.jpg"])`` does from Python what ``nbf-run fit demo photo.jpg`` does.
Importing this package imports nothing heavy; ``load`` does.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

__all__ = ["FittedImage", "FittedPerson", "LoadedPipeline", "demo_to", "fit_to", "load", "shipped_photos"]

_HOMES = {
    "FittedImage": "nbf_run.results",
    "FittedPerson": "nbf_run.results",
    "LoadedPipeline": "nbf_run.fitting",
    "demo_to": "nbf_run.tasks",
    "fit_to": "nbf_run.tasks",
    "load": "nbf_run.fitting",
    "shipped_photos": "nbf_run.tasks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
