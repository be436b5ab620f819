"""Scoring bodies in the pictures of cameras they were not fitted to: several calibrated views of one person.

Importing this imports no torch.
"""

from __future__ import annotations

from typing import Any

__all__ = ["crossview"]


def __getattr__(name: str) -> Any:
    if name != "crossview":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nbf_run.crossview.runner import crossview

    return crossview
