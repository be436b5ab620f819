"""The sections of a pipeline that name no component, and reading pipelines with them. Imports no torch."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from nbf_core.config import Config, Pipeline
from nbf_core.config.pipeline import SECTION_KINDS, override, resolve, validate
from nbf_core.plugins import PluginManager, get_plugin_manager

FIT_NEEDS = ("body", "renderer", "bank", "regressor", "fitter", "detector")
"""The component sections that fitting photos needs."""


class FitOptions(Config):
    """``[fit]``: from a photo to people to results."""

    focal: float | None = Field(None, gt=0, description="focal length in pixels; None: 1.2 longer sides of the photo")
    box_scale: float = Field(1.15, gt=0, description="side of the crop in longer sides of the person's box")
    max_people: int | None = Field(None, ge=1, description="fit at most so many people of a photo")
    batch: int = Field(8, ge=1, description="people fitted together")
    frames: str | None = Field(None, description="START:STOP:STEP: only these frames of a film; 0:200:2, say")
    window: int = Field(64, ge=4, description="frames of a film that are held in memory and fitted together")
    trust: float | None = Field(None, ge=0, le=1, description="weight of the features; None: as measured in training")
    mirror: bool = Field(False, description="look at each crop's mirror image too: better features, twice the time")
    trace: int = Field(0, ge=0, description="keep a fit's course at every so many steps and draw it; 0: do not")
    device: Literal["cpu", "cuda"] = "cpu"


class DemoOptions(Config):
    """``[demo]``: what the demo shows beside its photos."""

    samples: tuple[int, ...] = Field((0, 1, 3, 4), description="indices into the pipeline's data set; may be empty")
    patch_size: int = Field(80, ge=0, description="side of the occluder laid over them (data.patch_size)")


# Where the models of the sections live: each command brings its own, imported when a pipeline is read.
_MODELS = {
    "fit": "nbf_run.options:FitOptions",
    "demo": "nbf_run.options:DemoOptions",
    "train": "nbf_run.training.config:TrainOptions",
    "bench": "nbf_run.bench.config:BenchOptions",
    "crossview": "nbf_run.crossview.config:CrossviewOptions",
    "swap": "nbf_run.swap.config:SwapOptions",
}


def option_models() -> dict[str, type[BaseModel]]:
    """The model of every section that names no component."""
    models = {}
    for section, target in _MODELS.items():
        module, _, name = target.partition(":")
        models[section] = getattr(importlib.import_module(module), name)
    return models


def read_pipeline(
    source: str | Path,
    overrides: Iterable[tuple[str, Any]] = (),
    needs: Iterable[str] | None = None,
    manager: PluginManager | None = None,
    table: dict[str, Any] | None = None,
) -> Pipeline:
    """Read, resolve and validate a pipeline with the sections of all commands.

    ``needs`` names the component sections in use (all where None): a section that is not needed may name a
    component that is not installed, so that fitting works without the plugin of a data set. ``table`` of the
    result always holds the whole pipeline. ``table`` is taken in place of what ``source`` resolves to.
    Raises ConfigError or PluginError with the file and the key.
    """
    manager = manager or get_plugin_manager()
    models = option_models()
    table = override(resolve(source, manager) if table is None else table, overrides, models, manager)
    used = dict(table)
    if needs is not None:
        for name in SECTION_KINDS.keys() - set(needs):
            section = used.get(name)
            use = section.get("use") if isinstance(section, dict) else None
            if isinstance(use, str) and use not in manager.entries(SECTION_KINDS[name]):
                del used[name]
    return replace(validate(used, str(source), models, manager), table=table)
