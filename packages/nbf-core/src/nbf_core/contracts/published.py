"""What a component may offer beyond its contract: to take over published weights and models, or to give its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Converted:
    """A component's part of a published checkpoint.

    ``tensors`` is the component's ``state_dict``, ``options`` the keys of its configuration that these tensors fit,
    ``used`` the names in the checkpoint that it accounts for, taken over or knowingly left out. ``problems`` says,
    a line each, what is missing or has another shape; where there are any, ``tensors`` is empty.
    """

    tensors: Mapping[str, Tensor]
    options: Mapping[str, Any]
    used: frozenset[str]
    problems: tuple[str, ...] = ()


@runtime_checkable
class TakesPublished(Protocol):
    """A class of components that can be filled from a checkpoint of the published implementation."""

    @classmethod
    def from_published(cls, tensors: Mapping[str, Tensor]) -> Converted:
        """This component's part of a checkpoint, given all of its tensors by their published names."""
        ...


@dataclass(frozen=True)
class ConvertedFile:
    """A model file without pickles: plain ``arrays`` by name. ``left_out`` names what of the original is no array."""

    arrays: Mapping[str, np.ndarray]
    left_out: tuple[str, ...] = ()


@runtime_checkable
class TakesModelFiles(Protocol):
    """A class of components that are made from model files, which it can turn into safer ones of the same use."""

    @classmethod
    def from_model_file(cls, path: Path) -> ConvertedFile | None:
        """The contents of a model file; None where it is a model of another kind. Raises AssetError."""
        ...


@runtime_checkable
class ExportsModel(Protocol):
    """A component that can be written as model files of others, for programs that read only those."""

    layouts: tuple[str, ...]

    def model_files(self, layout: str) -> Mapping[str, Mapping[str, np.ndarray] | np.ndarray]:
        """Files by their paths in a folder: ``.npz`` and ``.pkl`` from arrays by name, ``.npy`` from one array."""
        ...
