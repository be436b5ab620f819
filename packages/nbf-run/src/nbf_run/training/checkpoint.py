"""Checkpoints that a crash cannot take away: safetensors with a checksum, written beside the last good one.

A checkpoint is written under another name, flushed to the disk, and only then renamed; the one before stays as
``previous.ckpt``. So at every moment one complete checkpoint has a name that is looked for. Nothing in a
file is ever executed: it holds tensors and JSON.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nbf_core.errors import AssetError, ConfigError

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
FORMAT = 1
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read: where from, its tensors, and what is known about the run."""

    path: Path
    tensors: dict[str, Tensor]
    state: dict[str, Any]


def write_checkpoint(path: Path, tensors: dict[str, Tensor], state: dict[str, Any], keep: Path | None = None) -> None:
    """Replace ``path`` at once; the file that was there becomes ``keep`` where one is named.

    Raises AssetError where it cannot be written (a full disk); what was there before is then still there.
    """
    from safetensors.torch import save

    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    header = {"format": FORMAT, "checksum": _checksum(tensors), **state}
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(save(tensors, {"nbf": json.dumps(header)}))
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            os.replace(path, keep)
        os.replace(partial, path)
        _flush_folder(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise AssetError(f"{path}: the checkpoint cannot be written: {error.strerror or error}") from error


def read_checkpoint(path: Path) -> Checkpoint:
    """Read one file. Raises AssetError naming it where it is missing, cut short, changed or no checkpoint."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise AssetError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
            state = json.loads((file.metadata() or {}).get("nbf", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise AssetError(f"{path}: not a readable checkpoint (cut short?): {error}") from error
    if state.get("format") != FORMAT:
        raise AssetError(f"{path}: not a checkpoint of this version (format {state.get('format')}, expected {FORMAT})")
    if state.pop("checksum", None) != _checksum(tensors):
        raise AssetError(f"{path}: its content has changed since it was written (checksum)")
    return Checkpoint(path, tensors, state)


def newest_checkpoint(folder: Path) -> Checkpoint:
    """The last checkpoint of a run, or the one before where that is damaged (with a warning).

    Raises ConfigError where the folder holds none, AssetError where it holds none that can be read.
    """
    found = [folder / name for name in (LAST, PREVIOUS) if (folder / name).is_file()]
    if not found:
        raise ConfigError(f"{folder}: holds no {LAST} to resume from")
    for path in found[:-1]:
        try:
            return read_checkpoint(path)
        except AssetError as error:
            logger.warning("%s; going on from %s instead", error, PREVIOUS)
    return read_checkpoint(found[-1])


def _checksum(tensors: dict[str, Tensor]) -> int:
    """CRC-32 over all values in the order of their names."""
    value = 0
    for name in sorted(tensors):
        flat = tensors[name].contiguous().reshape(-1)
        value = zlib.crc32(flat.view(torch.uint8).numpy(), zlib.crc32(name.encode(), value))
    return value


def _flush_folder(folder: Path) -> None:
    """Make renames last through a loss of power, where the system lets a folder be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
