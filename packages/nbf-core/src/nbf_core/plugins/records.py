"""The records that hooks yield. Targets are strings, imported on first use."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbf_core.errors import PluginError

KINDS = (
    "body_models",
    "renderers",
    "feature_banks",
    "regressors",
    "fitters",
    "priors",
    "datasets",
    "detectors",
    "metrics",
    "protocols",
)


def import_target(target: str) -> Any:
    """Import ``module:attribute``. Raises ImportError or AttributeError as Python does."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _resource(target: str) -> Path:
    """The path of ``package:relative/path`` inside an installed package. Raises PluginError without that package."""
    package, _, relative = target.partition(":")
    try:
        return Path(str(importlib.import_module(package).__file__)).parent / relative
    except ImportError as error:
        raise PluginError(f"{target}: cannot import {package} ({error})") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class ComponentEntry:
    """A component: where its class and its configuration live, and one line about it."""

    name: str
    target: str  # "nbf_renderers.gaussian:GaussianRenderer"
    config: str  # "nbf_renderers.config:GaussianConfig"; importing it imports no torch
    summary: str
    requires: tuple[str, ...] = ()  # what to install when the target cannot be imported

    def load(self) -> Any:
        """The component's class. Raises PluginError saying what to install where it cannot be imported."""
        return _load(self.name, self.target, self.requires)

    def load_config(self) -> Any:
        """The component's configuration class."""
        return _load(self.name, self.config, self.requires)


def _load(name: str, target: str, requires: tuple[str, ...]) -> Any:
    try:
        return import_target(target)
    except ImportError as error:
        if _own_fault(error, target.partition(".")[0].partition(":")[0]):
            raise PluginError(f"{name}: {target} cannot be imported: {error}") from error
        advice = f"; install it with: pip install {' '.join(requires)}" if requires else ""
        raise PluginError(f"{name}: cannot import {target} ({error}){advice}") from error
    except AttributeError as error:
        raise PluginError(f"{name}: {target} does not exist ({error})") from error


def _own_fault(error: ImportError, package: str) -> bool:
    """Whether a package is there and lacks something of its own: a misspelt module or name, nothing to install."""
    missing = error.name or ""
    if isinstance(error, ModuleNotFoundError):
        return missing.startswith(f"{package}.")
    return missing.partition(".")[0] == package


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineEntry:
    """A built-in pipeline: a TOML file inside an installed package."""

    name: str
    target: str  # "nbf_run:pipelines/demo.toml"
    summary: str

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return _resource(self.target)


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightsEntry:
    """Trained weights: a safetensors file inside an installed package."""

    name: str
    target: str  # "nbf_model_small:data/small.safetensors"
    summary: str

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return _resource(self.target)
