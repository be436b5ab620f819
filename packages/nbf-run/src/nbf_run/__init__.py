"""The orchestrator of nbf: pipelines of components met by name, the ``nbf-run`` command, reports.

``nbf_run.load("demo").fit(["photo.jpg"])`` does from Python what ``nbf-run fit demo photo.jpg`` does.
Importing this package imports nothing heavy; ``load`` does.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "FittedImage": "nbf_run.results",
    "FittedPerson": "nbf_run.results",
    "LAYERS": "nbf_run.view.layers",
    "LoadedPipeline": "nbf_run.fitting",
    "StoredRun": "nbf_run.stored",
    "Viewer": "nbf_run.view.server",
    "demo_to": "nbf_run.tasks",
    "draw": "nbf_run.view.layers",
    "export": "nbf_run.exporting",
    "fit_to": "nbf_run.tasks",
    "load": "nbf_run.fitting",
    "open_run": "nbf_run.stored",
    "shipped_photos": "nbf_run.tasks",
    "write_meshes": "nbf_run.view.meshes",
    "write_pictures": "nbf_run.view.pictures",
    "write_video": "nbf_run.view.moving",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
