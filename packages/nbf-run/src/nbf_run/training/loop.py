"""One training run: from a pipeline to a run directory with checkpoints, measurements and the model file."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from nbf_core.config import Pipeline
from nbf_core.contracts import BodyModel, Dataset
from nbf_core.errors import ConfigError, InputError
from nbf_core.weights import save_weights
from nbf_run.build import build_body, build_dataset, build_networks
from nbf_run.options import read_pipeline
from nbf_run.run_info import write_run_info
from nbf_run.training.callbacks import Measure, Progress
from nbf_run.training.config import TrainOptions
from nbf_run.training.data import training_batches
from nbf_run.training.module import Training

NEEDS = ("body", "regressor", "bank", "data")
CHECKPOINT = "last.ckpt"
MODEL = "model.safetensors"


def train(
    source: str | Path,
    out: Path,
    overrides: list[tuple[str, Any]] | None = None,
    resume: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Train the regressor and bank of a pipeline; returns the path of the model file below ``out``.

    ``resume`` is the directory of an earlier run, whose last checkpoint is gone on from. ``progress`` is told
    ("training", done, total) after each step. Raises NbfError
    subclasses naming the file or key at fault; a loss that is not finite ends the run with the last
    checkpoint kept.
    """
    pipeline = read_pipeline(source, overrides or [], needs=NEEDS)
    options: TrainOptions = pipeline.options["train"]
    checkpoint = _checkpoint(resume) if resume else None
    out.mkdir(parents=True, exist_ok=True)
    if options.threads:
        torch.set_num_threads(options.threads)
    L.seed_everything(pipeline.seed, verbose=False)
    body = build_body(pipeline)
    regressor, bank = build_networks(pipeline, body)
    data = _prepared(_data(pipeline, body, {}), options, out)
    held_out = _data(pipeline, body, {"split": "val", "augment": False, "cache": None})
    module = Training(options, body, regressor, bank)
    write_run_info(out, pipeline, "train")

    measure = Measure(
        held_out, options.validation_samples, options.validate_every, options.batch_size, out / "validation.csv"
    )
    started = time.monotonic()
    trainer = _trainer(options, out, [measure, *([Progress(progress)] if progress else [])])
    batches = training_batches(data, options.batch_size, pipeline.seed, options.workers)
    try:
        trainer.fit(module, batches, ckpt_path=checkpoint)
    except FloatingPointError as error:
        raise InputError(f"{out}: training stopped: {error}; the last checkpoint is {CHECKPOINT}") from error
    metadata = {
        "pipeline": pipeline.name,
        "table": _portable(pipeline.table),
        "seed": pipeline.seed,
        "steps": trainer.global_step,
        "images": trainer.global_step * options.batch_size,
        "minutes": round((time.monotonic() - started) / 60, 1),
        "quality": measure.latest,
    }
    return export(module, out / MODEL, metadata)


def export(module: Training, path: Path, metadata: dict[str, Any]) -> Path:
    """Write regressor and bank as a model file; floating tensors as float16, enough for inference."""
    tensors = {}
    for prefix, part in (("regressor", module.regressor), ("bank", module.bank)):
        for name, value in part.state_dict().items():
            value = value.detach().cpu()
            tensors[f"{prefix}.{name}"] = value.half() if value.is_floating_point() else value
    save_weights(path, tensors, metadata)
    return path


def _trainer(options: TrainOptions, out: Path, callbacks: list[L.Callback]) -> L.Trainer:
    keep = ModelCheckpoint(
        dirpath=out, filename="last", every_n_train_steps=options.checkpoint_every,
        enable_version_counter=False, save_on_train_epoch_end=False, auto_insert_metric_name=False,
    )  # fmt: skip
    # What Lightning says about itself, and its advice for machines with many cores, tells a user nothing.
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    advice = ("have many workers", "exists and is not empty", "dirpath has changed", "LeafSpec", "logging interval")
    for message in advice:
        warnings.filterwarnings("ignore", message=f".*{message}.*")
    return L.Trainer(
        accelerator="auto",
        devices=1,  # the bank is not gathered over processes yet: more of them would train it on their own shares
        max_steps=options.steps,
        max_epochs=-1,
        precision="bf16-mixed" if options.precision == "bfloat16" else "32-true",
        gradient_clip_val=options.clip,
        callbacks=[keep, *callbacks],
        enable_progress_bar=False,
        logger=CSVLogger(out, name=None, version="log"),
        log_every_n_steps=50,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _data(pipeline: Pipeline, body: BodyModel, changes: dict[str, Any]) -> Dataset:
    """The pipeline's data set with some options changed, where it has them."""
    section = pipeline.section("data")
    known = {key: value for key, value in changes.items() if key in type(section.config).model_fields}
    config = section.config.model_copy(update=known)
    return build_dataset(pipeline, body, config)


def _prepared(data: Dataset, options: TrainOptions, out: Path) -> Dataset:
    if options.cache and hasattr(data, "prepare"):
        folder = out / "cache" if options.cache is True else Path(options.cache)
        data.prepare(folder, workers=max(1, options.workers))
    return data


def _portable(table: dict[str, Any]) -> dict[str, Any]:
    """The pipeline without the folder its pictures lay in: it belongs to one machine, not to the model."""
    train_section = {key: value for key, value in table.get("train", {}).items() if key != "cache"}
    return {**table, "train": train_section}


def _checkpoint(resume: Path) -> Path:
    path = resume / CHECKPOINT
    if not path.is_file():
        raise ConfigError(f"{resume}: holds no {CHECKPOINT} to resume from")
    return path
