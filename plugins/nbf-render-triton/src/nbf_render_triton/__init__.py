"""The Gaussian volume renderer as Triton kernels.

Importing this package imports neither torch nor triton; the names below are imported on first use.
"""

import importlib
from typing import Any

_HOMES = {
    "TritonConfig": "nbf_render_triton.config",
    "TritonRenderer": "nbf_render_triton.renderer",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
