"""One component exchanged at a time: what it changes, and what it costs (``nbf-run swap``)."""

from __future__ import annotations

from typing import Any

__all__ = ["swap"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module("nbf_run.swap.runner"), name)
