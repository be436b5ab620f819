"""Optional compilation: with numba installed functions become machine code, without it they do not run at all."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

try:
    from numba import njit
except ImportError:  # the reference takes over
    njit = None

AVAILABLE = njit is not None
"""Whether the compiled solver can be used."""


_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


def compiled(function: Callable) -> Callable:
    """Compile what only compiled functions call; it becomes part of them.

    Wrappers that checks of shapes put around a function while tests run are taken off: numba cannot read them.
    """
    function = inspect.unwrap(function)
    return function if njit is None else njit(**_OPTIONS)(function)


def entry(function: Callable) -> Callable:
    """Compile what Python calls: without the interpreter lock and, where possible, stored on disk.

    What is stored is made anew when the file of the entry changes, not those of the functions it calls: after work
    on those, touch it.
    """
    function = inspect.unwrap(function)
    if njit is None:
        return function
    try:
        return njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # numba found no folder that it may write to
        return njit(**_OPTIONS)(function)
