"""Checkpoints of the published implementation, turned into model files. Nothing in a checkpoint is ever executed."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nbf_core.contracts import Converted
from nbf_core.errors import AssetError, ConfigError, PluginError
from nbf_core.plugins import get_plugin_manager
from nbf_core.weights import save_weights

_KINDS = {"regressor": "regressors", "bank": "feature_banks"}
_WRAPPERS = ("module", "model", "network")  # what data-parallel and Lightning modules put before each name


class MisfitError(AssetError):
    """A checkpoint does not fit; ``problems`` says why, a line each."""

    def __init__(self, path: Path, problems: tuple[str, ...]) -> None:
        super().__init__(f"{path}: does not fit ({len(problems)} problems)")
        self.problems = problems


@dataclass(frozen=True)
class Conversion:
    """What was written: by section the component, the options that fit the weights, and how many tensors it got."""

    model: Path
    sections: Mapping[str, Mapping[str, Any]]
    tensors: Mapping[str, int]

    @property
    def pipeline(self) -> dict[str, Any]:
        """The sections that a pipeline needs to use the model."""
        table: dict[str, Any] = {name: dict(options) for name, options in self.sections.items()}
        table["regressor"]["weights"] = self.model.as_posix()
        if "bank" in table:
            # Nobody measured the correspondence quality of these weights, without which features get no say.
            table["fit"] = {"trust": 1.0}
        return table


def convert_checkpoint(
    source: str | Path, out: str | Path, regressor: str = "pare-coke", bank: str = "nearest-memory"
) -> Conversion:
    """Write the model file ``out`` (``.safetensors``) from a published checkpoint.

    ``regressor`` and ``bank`` name the components that take it over. A checkpoint without a bank gives a model file
    without one. Raises MisfitError with everything that is missing, odd or of another shape, AssetError where a file
    cannot be read or written, PluginError for a component that takes no published checkpoints.
    """
    source, out = Path(source), Path(out)
    if out.suffix != ".safetensors":
        raise ConfigError(f"{out}: a model file's name ends in .safetensors")
    if not out.parent.is_dir():
        raise AssetError(f"{out.parent}: no such folder")
    takers = {"regressor": _taker("regressor", regressor), "bank": _taker("bank", bank)}
    given, others = read_checkpoint(source)
    parts: dict[str, Converted] = {name: taker.from_published(given) for name, taker in takers.items()}
    if not parts["bank"].used & given.keys():
        del parts["bank"]
    problems = [problem for part in parts.values() for problem in part.problems] + others
    if parts["regressor"].used:  # of a checkpoint that is something else altogether every tensor would be odd
        known = frozenset().union(*(part.used for part in parts.values()))
        problems += [f"odd: {name} {tuple(given[name].shape)}" for name in given if name not in known]
    if problems:
        raise MisfitError(source, tuple(problems))
    uses = {"regressor": regressor, "bank": bank}
    sections = {name: {"use": uses[name], **part.options} for name, part in parts.items()}
    tensors = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.tensors.items()}
    save_weights(out, tensors, {"converted_from": source.name, "sections": sections})
    return Conversion(out, sections, {name: len(part.tensors) for name, part in parts.items()})


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors in a checkpoint of torch by name, and what in it is no tensor, a line each.

    Reads torch's zip files and the older plain ones, bare or with the tensors under ``state_dict``; names lose what
    data-parallel and Lightning modules put before them. Raises AssetError where it cannot be read, or only by
    running code that it brings along.
    """
    if not path.is_file():
        raise AssetError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named is None:
            if _starts_as_pickle(path):
                raise AssetError(
                    f"{path}: refused: a pickle that torch does not take for weights alone; nothing of it was run"
                ) from error
            raise _unreadable(path, error) from error
        raise AssetError(
            f"{path}: refused: it holds {named[1]}, which is no weights and could run code; nothing of it was run"
        ) from error
    except Exception as error:  # torch raises nearly anything for a damaged file
        raise _unreadable(path, error) from error
    if isinstance(stored, Mapping) and isinstance(stored.get("state_dict"), Mapping):
        stored = stored["state_dict"]
    if not isinstance(stored, Mapping) or not stored:
        raise AssetError(f"{path}: holds no tensors by name, nor any under 'state_dict'")
    plain = {str(name): value for name, value in stored.items() if _is_plain(value)}
    others = [f"odd: {name} is no plain tensor" for name, value in stored.items() if not _is_plain(value)]
    return _unwrapped(plain), others


def _taker(section: str, name: str) -> Any:
    component = get_plugin_manager().get(_KINDS[section], name).load()
    if not hasattr(component, "from_published"):
        raise PluginError(f"{name}: this {section} takes no published checkpoints")
    return component


def _is_plain(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized


def _unwrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for wrapper in _WRAPPERS:
        if tensors and all(name.startswith(wrapper + ".") for name in tensors):
            return _unwrapped({name.removeprefix(wrapper + "."): value for name, value in tensors.items()})
    return tensors


def _starts_as_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) == b"\x80"


def _unreadable(path: Path, error: Exception) -> AssetError:
    reason = re.split(r"\.\s|\n", str(error), maxsplit=1)[0]
    # Else it is the number of some unknown opcode, or says no more than that reading failed.
    told = f" ({reason})" if " " in reason and reason != "Weights only load failed" else ""
    return AssetError(f"{path}: not a readable checkpoint of torch; cut short?{told}")
