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


def compiled(function: Callable) -> Callable:
    """Compile without the interpreter lock and, where possible, stored on disk.

    Wrappers that checks of shapes put around a function while tests run are taken off: numba cannot read them.
    """
    function = inspect.unwrap(function)
    if njit is None:
        return function
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no folder that it may write to
        return njit(**options)(function)
