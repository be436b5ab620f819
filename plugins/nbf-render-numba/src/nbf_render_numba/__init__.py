"""The Gaussian volume renderer compiled for CPUs.

Importing this package imports neither torch nor numba; the names below are imported on first use.
"""

import importlib
from typing import Any

_HOMES = {
    "NumbaConfig": "nbf_render_numba.config",
    "NumbaRenderer": "nbf_render_numba.renderer",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
