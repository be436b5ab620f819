"""Where a run goes on: its folder, its pipeline and its last checkpoint."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nbf_core.config import Pipeline
from nbf_core.config.pipeline import resolve
from nbf_core.errors import ConfigError, NbfError
from nbf_core.plugins import get_plugin_manager
from nbf_core.weights import Weights, read_weights
from nbf_run.options import read_pipeline
from nbf_run.training.checkpoint import LAST, PREVIOUS, Checkpoint, newest_checkpoint, read_checkpoint

NEEDS = ("body", "regressor", "bank", "data")
logger = logging.getLogger(__name__)


def chosen_folder(out: Path | None, resume: Path | None) -> Path:
    """The folder to write to. Raises ConfigError where neither is given, or where a new run would end an old one."""
    if out is None and resume is None:
        raise ConfigError("--out DIR: a folder to write to is missing (or --resume DIR to go on there)")
    out = Path(resume if out is None else out)
    same = resume is not None and out.resolve() == Path(resume).resolve()
    if not same and any((out / name).exists() for name in (LAST, PREVIOUS)):
        raise ConfigError(f"{out}: holds a run already; go on with --resume {out}, or choose another folder")
    return out


def read_run(
    source: str | Path, overrides: Iterable[tuple[str, Any]], out: Path, resume: Path | None
) -> tuple[Pipeline, Checkpoint | None]:
    """The pipeline of a run, and the checkpoint that it goes on from.

    A resumed run has the pipeline that it began with, ``overrides`` on top; where it was stopped before its first
    checkpoint it begins anew. Raises ConfigError where ``resume`` holds no run, or one of another pipeline.
    """
    overrides = list(overrides)
    if resume is None:
        return _read(source, overrides, None), None
    resume = Path(resume)
    try:
        checkpoint = newest_checkpoint(resume)
        table = checkpoint.state["table"]
        logger.info("%s: going on after step %d", resume, checkpoint.state["step"])
    except ConfigError:
        checkpoint, table = None, _begun(resume)
        if table is None:
            raise
        logger.info("%s: it was stopped before its first checkpoint, and begins anew", resume)
    given = resolve(source, get_plugin_manager())
    if given.get("name") != table.get("name"):
        raise ConfigError(f"{resume}: is a run of the pipeline {table.get('name')!r}, not of {given.get('name')!r}")
    return _read(source, overrides, table), checkpoint


def _read(source: str | Path, overrides: list[tuple[str, Any]], table: dict[str, Any] | None) -> Pipeline:
    pipeline = read_pipeline(source, overrides, NEEDS, table=table)
    if pipeline.options["train"].kernel_features == "rendered":
        pipeline = read_pipeline(source, overrides, (*NEEDS, "renderer"), table=table)
        pipeline.section("renderer")
    return pipeline


def read_start(name: str) -> Checkpoint | Weights:
    """What ``train.start_from`` names: a checkpoint, a model file or installed weights. Errors name the key."""
    try:
        path = Path(name)
        if path.suffix == ".ckpt" or len(path.parts) > 1 and not path.is_file():
            return read_checkpoint(path)
        return read_weights(name)
    except NbfError as error:
        raise type(error)(f"train.start_from: {error}") from error


def _begun(resume: Path) -> dict[str, Any] | None:
    """The pipeline of a training run that has no checkpoint yet; None where the folder holds no such run."""
    try:
        info = json.loads((resume / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return info["pipeline"]["table"] if info.get("task") == "train" else None
