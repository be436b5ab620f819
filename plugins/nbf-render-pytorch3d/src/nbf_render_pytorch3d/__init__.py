"""PyTorch3D's mesh rasteriser as a renderer of nbf.

Importing this package imports neither torch nor PyTorch3D; the names below are imported on first use.
"""

import importlib
from typing import Any

_HOMES = {
    "PyTorch3DConfig": "nbf_render_pytorch3d.config",
    "PyTorch3DRenderer": "nbf_render_pytorch3d.renderer",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
