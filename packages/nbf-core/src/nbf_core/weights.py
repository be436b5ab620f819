"""Model files: safetensors with a JSON header, one file for all trained parts of a pipeline.

Tensors are named ``regressor.*`` and ``bank.*``; the metadata says which components, configuration, seed
and measured quality they belong to. Nothing in a file is ever executed.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nbf_core.errors import AssetError
from nbf_core.plugins.manager import PluginManager, get_plugin_manager


@dataclass(frozen=True)
class Weights:
    """A model file's tensors and metadata."""

    path: Path
    tensors: dict[str, Tensor]
    metadata: dict[str, Any]


def find_weights(name: str | Path, manager: PluginManager | None = None) -> Path:
    """The path of a file, or of the installed weights of that name."""
    path = Path(name)
    if path.suffix == ".safetensors" or path.is_file():
        if not path.is_file():
            raise AssetError(f"{name}: no such model file")
        return path
    path = (manager or get_plugin_manager()).get("weights", str(name)).path
    if not path.is_file():
        raise AssetError(f"{path}: the installed weights {name!r} lack their file")
    return path


def read_weights(name: str | Path, manager: PluginManager | None = None) -> Weights:
    """Read a model file. Raises AssetError naming the file where it is missing, cut short or no model."""
    from safetensors import SafetensorError, safe_open

    path = find_weights(name, manager)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
            header = file.metadata() or {}
        metadata = json.loads(header.get("nbf", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise AssetError(f"{path}: not a readable model file (cut short?): {error}") from error
    return Weights(path, tensors, metadata)


def save_weights(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write a model file at once: a reader sees the old file or the whole new one.

    Raises AssetError where it cannot be written (a full disk); what was there before is then still there.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    partial = path.with_suffix(".partial")
    try:
        partial.touch()
        mode = partial.stat().st_mode  # as the user's files are; save_file makes one that only its owner may read
        save_file({key: value.contiguous() for key, value in tensors.items()}, partial, {"nbf": json.dumps(metadata)})
        partial.chmod(mode)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except (SafetensorError, OSError) as error:
        raise AssetError(f"{path}: cannot be written: {error}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def load_into(module: nn.Module, weights: Weights, prefix: str) -> None:
    """Copy the tensors named ``prefix.*`` into ``module``, whose own loading may rename or convert them.

    Raises AssetError naming what does not fit.
    """
    own = module.state_dict()
    given = {key[len(prefix) + 1 :]: value for key, value in weights.tensors.items() if key.startswith(prefix + ".")}
    if not given:
        raise AssetError(f"{weights.path}: holds no {prefix} tensors")
    shapes = [
        f"{key} is {tuple(given[key].shape)}, expected {tuple(own[key].shape)}"
        for key in sorted(own.keys() & given.keys())
        if own[key].shape != given[key].shape
    ]
    fitting = {
        key: value.to(own[key].dtype) if key in own else value
        for key, value in given.items()
        if key not in own or own[key].shape == value.shape
    }
    left = module.load_state_dict(fitting, strict=False)
    missing = sorted(set(left.missing_keys) - given.keys())
    odd = sorted(left.unexpected_keys)
    problems = [f"missing {_few(missing)}"] * bool(missing) + [f"unknown {_few(odd)}"] * bool(odd) + shapes[:3]
    if problems:
        raise AssetError(f"{weights.path}: does not fit the {prefix}: {'; '.join(problems)}")


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
