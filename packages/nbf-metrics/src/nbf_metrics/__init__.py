"""Metrics of 3D and 2D human pose: one value a sample, over its visible points.

The classes are imported on first use, so that listing plugins imports no torch.
"""

from __future__ import annotations

import importlib

_HOMES = {
    "Acceleration": "nbf_metrics.film",
    "Auc3d": "nbf_metrics.pck",
    "Mpjpe": "nbf_metrics.distance",
    "OcclusionIou": "nbf_metrics.occlusion",
    "PaAuc3d": "nbf_metrics.pck",
    "PaMpjpe": "nbf_metrics.distance",
    "PaPck3d": "nbf_metrics.pck",
    "Pck3d": "nbf_metrics.pck",
    "Pckh": "nbf_metrics.pck",
    "Pve": "nbf_metrics.distance",
    "align_scale": "nbf_metrics.distance",
    "align_visible": "nbf_metrics.distance",
    "pckh_hits": "nbf_metrics.pck",
    "set_share": "nbf_metrics.pck",
}

__all__ = list(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
