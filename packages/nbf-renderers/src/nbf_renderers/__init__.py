"""Gaussian volume renderers.

Importing this package imports no torch; the names below are imported on first use.
"""

import importlib
from typing import Any

_HOMES = {
    "GaussianConfig": "nbf_renderers.config",
    "GaussianRenderer": "nbf_renderers.gaussian",
    "check_attributes": "nbf_renderers._checks",
    "check_camera": "nbf_renderers._checks",
    "check_features": "nbf_renderers._checks",
    "check_kernels": "nbf_renderers._checks",
    "check_similarities": "nbf_renderers._checks",
    "clear_pixels": "nbf_renderers.mask",
    "nearest_mask": "nbf_renderers.mask",
    "render_dense": "nbf_renderers.reference",
    "render_rays": "nbf_renderers.gaussian",
    "sample_pixels": "nbf_renderers.gaussian",
    "slot_limit": "nbf_renderers._checks",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
