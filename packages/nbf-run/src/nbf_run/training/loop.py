"""One training run: from a pipeline to a run directory with checkpoints, measurements and the model file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch

from nbf_core.config import Pipeline
from nbf_core.contracts import BodyModel, Deployable
from nbf_core.errors import AssetError, InputError
from nbf_core.types import Sample
from nbf_core.weights import save_weights
from nbf_run.build import build_body, build_dataset, build_networks, build_renderer, check_kernels, kernels_of
from nbf_run.run_info import write_run_info
from nbf_run.training.callbacks import Keeper, Progress, Record, held_out_batches
from nbf_run.training.checkpoint import LAST, Checkpoint
from nbf_run.training.config import TrainOptions
from nbf_run.training.data import Limits, Stream, TrainingData, order_of
from nbf_run.training.inspection import NotFinite
from nbf_run.training.launch import other_processes
from nbf_run.training.module import Plan, Start, Training
from nbf_run.training.norms import join_batch_norms
from nbf_run.training.order import Batches
from nbf_run.training.resume import chosen_folder, read_run, read_start
from nbf_run.training.state import NETWORKS, load_networks, network_tensors
from nbf_run.training.trainer import accelerator, is_first_process, make_trainer, process_group_ended, silenced
from nbf_run.training.validation import validation_data

MODEL = "model.safetensors"
logger = logging.getLogger(__name__)


def train(
    source: str | Path,
    out: Path | None = None,
    overrides: list[tuple[str, Any]] | None = None,
    resume: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Train the regressor and bank of a pipeline; returns the path of the model file below ``out``.

    ``resume`` is the directory of an earlier run (``out`` may then be left out: the run goes on there): its own
    pipeline with ``overrides`` on top is gone on with from its last checkpoint, and ends as if it had
    never stopped. ``progress`` is told ("training", done, total) after each step.

    Raises NbfError subclasses naming the file or key at fault. A loss or gradient that is not finite ends the run
    with the last checkpoint kept and the batch saved beside it.
    """
    out = chosen_folder(out, resume)
    pipeline, checkpoint = read_run(source, overrides or [], out, resume)
    options: TrainOptions = pipeline.options["train"]
    out.mkdir(parents=True, exist_ok=True)
    device = accelerator(options)
    if is_first_process():
        write_run_info(out, pipeline, "train", device=device)
    if options.threads:
        torch.set_num_threads(options.threads)
    silenced()
    L.seed_everything(pipeline.seed, verbose=False)
    run = _Run.of(pipeline, options, out, resume, checkpoint)
    call = {
        "source": str(source), "out": str(out), "overrides": overrides or [], "resume": resume and str(resume),
    }  # fmt: skip
    try:
        run.data.prepare_data()
        with other_processes(options, call):
            module = run.fit(progress)
    except NotFinite as error:
        raise InputError(f"{out}: training stopped: {error}; the last checkpoint is {LAST}") from error
    metadata = {
        **run.record.about,
        "table": _portable(pipeline.table),
        "steps": module.plan.steps,
        "images": module.plan.start.samples + run.batches.count * options.batch_size * run.batches.processes,
        "quality": run.record.quality,
    }
    return export(module, out / MODEL, metadata) if run.is_first else out / MODEL


def export(module: Training, path: Path, metadata: dict[str, Any]) -> Path:
    """Write regressor and bank as a model file; floating tensors as float16, enough for inference."""
    from safetensors import SafetensorError

    tensors = network_tensors(module.regressor, module.bank)
    if isinstance(module.regressor, Deployable):
        inference = {f"{NETWORKS[0]}.{name}": value for name, value in module.regressor.deployed().items()}
        tensors = {name: v for name, v in tensors.items() if not name.startswith(f"{NETWORKS[0]}.")} | inference
    tensors = {name: value.detach().cpu() for name, value in tensors.items()}
    tensors = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    try:
        save_weights(path, tensors, metadata)
    except (OSError, SafetensorError) as error:
        raise AssetError(f"{path}: the model cannot be written ({error}); the last checkpoint is {LAST}") from error
    return path


@dataclass
class _Run:
    """All that a run needs, built before anything slow is done, so that what is missing is said at once."""

    pipeline: Pipeline
    options: TrainOptions
    out: Path
    checkpoint: Checkpoint | None
    body: BodyModel
    networks: tuple[Any, Any]
    renderer: Any
    data: TrainingData
    record: Record
    batches: Batches | None = None
    is_first: bool = True

    @classmethod
    def of(
        cls, pipeline: Pipeline, options: TrainOptions, out: Path, resume: Path | None, checkpoint: Checkpoint | None
    ) -> _Run:
        body = build_body(pipeline)
        regressor, bank = build_networks(pipeline, body)
        begin = checkpoint or (read_start(options.start_from) if options.start_from else None)
        if begin is not None:
            known = begin.state if isinstance(begin, Checkpoint) else begin.metadata
            check_kernels(begin.path, known, body.spec)
            load_networks(regressor, bank, begin)
        renderer = build_renderer(pipeline) if "renderer" in pipeline.sections else None
        stream = Stream(build_dataset(pipeline, body), Limits.of(regressor, body.spec), pipeline.seed)
        order_of(stream.data, pipeline.seed)
        data = TrainingData(stream, _cache(options, out, resume), options.workers)
        record = Record.after(checkpoint, pipeline)
        record.about["kernels"] = kernels_of(body.spec)
        return cls(pipeline, options, out, checkpoint, body, (regressor, bank), renderer, data, record)

    def fit(self, progress: Callable[[str, int, int], None] | None) -> Training:
        """Train what is left to train, as one of ``devices * nodes`` processes."""
        options, stream, state = self.options, self.data.stream, self.checkpoint.state if self.checkpoint else {}
        trainer = make_trainer(options, self.out)
        self.is_first = trainer.is_global_zero
        steps, epoch = options.length(len(stream.data), trainer.world_size)
        start = Start(state.get("step", 0), state.get("batch", 0), state.get("samples", 0), self.checkpoint)
        left = max(0, steps - start.step)
        order = order_of(stream.data, self.pipeline.seed)
        self.batches = Batches(
            order, start.samples, left * options.accumulate, options.batch_size,
            trainer.global_rank, trainer.world_size,
        )  # fmt: skip
        module = Training(
            options, Plan(self.out, self.pipeline.seed, steps, start), self.body, *self.networks, self.renderer
        )
        if left == 0:
            return module
        if trainer.world_size > 1 and options.batch_norm == "joint" and trainer.strategy.root_device.type == "cpu":
            join_batch_norms(module)
        trainer.callbacks.append(Keeper(self.record, self._held_out() if self.is_first else [], epoch))
        if progress is not None and self.is_first:
            trainer.callbacks.append(Progress(progress))
        self.data.choose(self.batches)
        if state.get("scaler"):
            trainer.precision_plugin.load_state_dict(state["scaler"])
        with process_group_ended(trainer):
            trainer.fit(module, datamodule=self.data)
        return module

    def _held_out(self) -> list[Sample]:
        """Batches to measure on; none where nothing is kept apart. Raises InputError naming one that cannot be used."""
        options, stream = self.options, self.data.stream
        data = validation_data(self.pipeline, options, self.body)
        if data is None:
            logger.warning(
                "validation: on nothing, and no best.ckpt: the data set %r keeps no samples apart "
                "(data.held_out = 0.02 where it has that option; or [train.validation] with another set)",
                self.pipeline.section("data").use,
            )
            return []
        apart = Stream(data, stream.limits, self.pipeline.seed)
        return held_out_batches(data, apart, options.validation_samples, options.batch_size)


def _cache(options: TrainOptions, out: Path, resume: Path | None) -> Path | None:
    """Where the data set prepares its pictures: a resumed run finds those of its first part."""
    if not options.cache:
        return None
    return (resume or out) / "cache" if options.cache is True else Path(options.cache)


def _portable(table: dict[str, Any]) -> dict[str, Any]:
    """The pipeline without the folder its pictures lay in: it belongs to one machine, not to the model."""
    train_section = {key: value for key, value in table.get("train", {}).items() if key != "cache"}
    if "start_from" in train_section:
        train_section["start_from"] = Path(train_section["start_from"]).name
    return {**table, "train": train_section}
