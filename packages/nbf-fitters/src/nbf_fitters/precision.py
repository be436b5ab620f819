"""In what large products are computed."""

from __future__ import annotations

import torch


def multiplies_bfloat16_fast(device: torch.device) -> bool:
    """Whether ``device`` multiplies matrices of bfloat16 several times as fast as those of float32."""
    return device.type == "cuda" or (device.type == "cpu" and torch.cpu._is_amx_tile_supported())
