"""Body models as files: published ones made safe, and bodies of ours in the files of others."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nbf_core.contracts import ConvertedFile, ExportsModel
from nbf_core.errors import AssetError, ConfigError, PluginError
from nbf_core.plugins import get_plugin_manager

_KIND = "body_models"


@dataclass(frozen=True)
class ConvertedBody:
    """What was written: for which body, the shape of each array, and the names of what was left out."""

    model: Path
    body: str
    shapes: Mapping[str, tuple[int, ...]]
    left_out: tuple[str, ...]

    @property
    def pipeline(self) -> dict[str, Any]:
        """The section that a pipeline needs to use the file."""
        return {"body": {"use": self.body, "path": self.model.as_posix()}}


def convert_body(source: str | Path, out: str | Path, body: str | None = None) -> ConvertedBody:
    """Write the npz ``out`` from a body model's file. Nothing in that file is executed.

    ``body`` names the component it is for; unless given, all that are installed are asked. Raises AssetError naming
    file and key where the file cannot be read or is for no body, PluginError for a component that reads no files.
    """
    source, out = Path(source), Path(out)
    if out.suffix != ".npz":
        raise ConfigError(f"{out}: a body model's file name ends in .npz, a converted checkpoint's in .safetensors")
    _check_folder(out.parent)
    takers = _takers(body)
    for name, taker in takers.items():
        found: ConvertedFile | None = taker.from_model_file(source)
        if found is not None:
            write_atomically(out, found.arrays)
            shapes = {key: array.shape for key, array in found.arrays.items()}
            return ConvertedBody(out, name, shapes, found.left_out)
    raise AssetError(f"{source}: is a model for none of {', '.join(takers)}")


def export_body(body: str, layout: str, folder: str | Path) -> list[Path]:
    """Write a body's files in the layout of another; their paths. Existing files of these names are replaced.

    Raises PluginError for a component that cannot be exported, ConfigError for a layout that it does not know.
    """
    entry = get_plugin_manager().get(_KIND, body)
    component = entry.load()(entry.load_config()())
    if not isinstance(component, ExportsModel):
        raise PluginError(f"{body}: this body cannot be exported")
    if layout not in component.layouts:
        raise ConfigError(f"{body}: no layout {layout!r}; it can be exported as {', '.join(component.layouts)}")
    written = []
    for name, content in component.model_files(layout).items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
        written.append(path)
    return written


def write_atomically(path: Path, content: Mapping[str, np.ndarray] | np.ndarray) -> None:
    """Write arrays by the path's suffix: a reader sees the old file or the whole new one, nobody half of one."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            if path.suffix == ".npz":
                np.savez_compressed(file, **content)
            elif path.suffix == ".npy":
                np.save(file, content)
            elif path.suffix == ".pkl":
                pickle.dump(dict(content), file, 2)
            else:
                raise ConfigError(f"{path}: no known kind of file")
        os.replace(part, path)
    except OSError as error:
        raise AssetError(f"{path}: cannot be written ({error})") from error
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def _takers(body: str | None) -> dict[str, Any]:
    manager = get_plugin_manager()
    if body is not None:
        taker = manager.get(_KIND, body).load()
        if not hasattr(taker, "from_model_file"):
            raise PluginError(f"{body}: this body reads no model files")
        return {body: taker}
    takers = {name: entry.load() for name, entry in manager.entries(_KIND).items()}
    takers = {name: taker for name, taker in takers.items() if hasattr(taker, "from_model_file")}
    if not takers:
        raise PluginError("no body model that is installed reads model files: pip install nbf-body-models")
    return takers


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise AssetError(f"{folder}: no such folder")
