"""Published checkpoints made up by rule: every tensor from its name alone, as the golden networks were filled."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nbf_testing.golden import golden_dir

HERE = Path(__file__).parent / "golden"
ARCHITECTURES = {"resnet50": "resnet50", "hrnet_w32": "hrnet-w32"}  # published name: ours


def published_list(architecture: str) -> list[dict]:
    """Names, shapes and types of a published checkpoint's tensors."""
    path = golden_dir(HERE) / f"state_dict_{architecture}.json"
    if not path.is_file():  # a set of other cases may come without the lists, which are facts
        path = HERE / path.name
    return json.loads(path.read_text(encoding="utf-8"))["tensors"]


def checkpoint(architecture: str, rule: str = "flat", gain: float = 1.0) -> dict[str, Tensor]:
    """All tensors of a published checkpoint, filled by ``rule``."""
    listed = published_list(architecture)
    names = {entry["name"] for entry in listed}
    tensors = {}
    for entry in listed:
        name, shape = entry["name"], tuple(entry["shape"])
        layer, _, last = name.rpartition(".")
        if entry["dtype"] == "int64":
            tensors[name] = torch.zeros(shape, dtype=torch.long)
        elif name == "head.temperature":
            tensors[name] = torch.ones(shape)
        elif name.startswith("head.init_"):
            tensors[name] = torch.zeros(shape)
        else:
            normal = f"{layer}.running_mean" in names
            tensors[name] = torch.from_numpy(_values(name, shape, last if normal else "", rule, gain))
    return tensors


def _values(name: str, shape: tuple[int, ...], norm: str, rule: str, gain: float) -> np.ndarray:
    """``norm`` says which tensor of a batch normalisation this is, if any."""
    if norm and rule == "flat":
        return np.full(shape, norm in ("weight", "running_var"), np.float32)
    z = np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF).standard_normal(shape)
    if norm:
        z = z.astype(np.float32)
        return {"weight": 1 + 0.1 * z, "running_var": 1 + 0.5 * np.abs(z)}.get(norm, 0.1 * z).astype(np.float32)
    scale = gain * np.sqrt(2 / np.prod(shape[1:])) if rule == "he" and len(shape) > 1 else 0.02
    return (z * scale).astype(np.float32)
