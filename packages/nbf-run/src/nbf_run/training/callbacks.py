"""What happens beside the training steps: saying how far the run is, noting down, measuring, keeping checkpoints."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import lightning as L
import torch
import torch.distributed as dist

from nbf_core.config import Pipeline
from nbf_core.contracts import Dataset
from nbf_core.errors import InputError
from nbf_core.types import Sample
from nbf_run.jsons import plain
from nbf_run.training.checkpoint import BEST, LAST, PREVIOUS, Checkpoint, write_checkpoint
from nbf_run.training.data import Stream, Unusable
from nbf_run.training.journal import Journal
from nbf_run.training.module import Training
from nbf_run.training.state import network_tensors, optimizer_tensors
from nbf_run.training.validation import validate

_SHOWN = ("within_10cm", "correct_side")
_LOWER_IS_BETTER = ("start_mpjpe", "start_pa_mpjpe")
logger = logging.getLogger(__name__)


class Progress(L.Callback):
    """Tells ``step(what, done, total)`` after each step."""

    def __init__(self, step: Callable[[str, int, int], None]) -> None:
        self.step = step

    def on_train_batch_end(self, trainer, module: Training, outputs, batch, batch_idx) -> None:
        self.step("training", module.step, module.plan.steps)


@dataclass
class Record:
    """What a run knows of itself beside its tensors; it goes into every checkpoint."""

    about: dict[str, Any]
    best: dict[str, Any] = field(default_factory=dict)  # step and value of the monitored measurement
    quality: dict[str, float] = field(default_factory=dict)  # the latest measurement
    measured: int = 0  # its step

    @classmethod
    def after(cls, checkpoint: Checkpoint | None, pipeline: Pipeline) -> Record:
        """The record of a new run, or of the one that a checkpoint goes on with."""
        record = cls({"pipeline": pipeline.name, "table": plain(pipeline.table), "seed": pipeline.seed})
        for name in ("best", "quality", "measured"):
            if checkpoint is not None and name in checkpoint.state:
                setattr(record, name, checkpoint.state[name])
        return record


class Keeper(L.Callback):
    """After each optimiser step what is due: losses noted, quality measured, the best and the last checkpoint kept."""

    def __init__(self, record: Record, held_out: list[Sample], epoch: int) -> None:
        self.record, self.held_out, self.epoch = record, held_out, epoch
        self.journal: Journal | None = None
        self.started = time.monotonic()
        self.saved = -1

    def on_train_start(self, trainer: L.Trainer, module: Training) -> None:
        if trainer.is_global_zero:
            self.journal = Journal(module.plan.out, module.step)

    def on_train_batch_end(self, trainer: L.Trainer, module: Training, outputs, batch, batch_idx: int) -> None:
        config = module.config
        if (batch_idx + 1) % config.accumulate:
            return
        step, last = module.step, module.step == module.plan.steps
        if step % config.log_every == 0 or last:
            self._note(trainer, module, step)
        if step % config.validate_every == 0 or last:
            self._measure(trainer, module, step)
        if step % config.checkpoint_every == 0 or last:
            self._save(trainer, module, step, LAST, PREVIOUS)

    def teardown(self, trainer: L.Trainer, module: Training, stage: str) -> None:
        if self.journal is not None:
            self.journal.close()

    def _note(self, trainer: L.Trainer, module: Training, step: int) -> None:
        everything = [{name: float(value) for name, value in terms.items()} for terms in module.terms]
        if trainer.world_size > 1:  # as objects: which terms there are depends on each process's labels
            shares = [None] * trainer.world_size
            dist.all_gather_object(shares, everything)
            everything = [terms for share in shares for terms in share]
        if self.journal is not None:
            names = sorted({name for terms in everything for name in terms})
            values = {name: [terms[name] for terms in everything if name in terms] for name in names}
            losses = {f"loss/{name}": sum(value) / len(value) for name, value in values.items()}
            share = module.config.rate(step - 1, module.plan.steps)
            rates = {"learning_rate": module.config.learning_rate * share}
            self.journal.note_losses(
                step, round(step / self.epoch, 3), {**losses, **rates, "gradient_norm": module.gradient_norm}
            )

    def _measure(self, trainer: L.Trainer, module: Training, step: int) -> None:
        """One process measures, the others wait: held-out samples are few."""
        if trainer.is_global_zero and self.held_out:
            module.eval()
            with torch.inference_mode():
                batches = [module.labelled(batch.to(module.device)) for batch in self.held_out]
                quality = validate(batches, module.body, module.regressor, module.bank, module.config.clutter_centers)
            module.train()
            self.record.quality, self.record.measured = quality, step
            self._tell(step, quality)
            if self._is_best(module.config.monitor, step):
                self._save(trainer, module, step, BEST)
        if trainer.world_size > 1:
            trainer.strategy.barrier("validation")

    def _tell(self, step: int, quality: dict[str, float]) -> None:
        shares = [f"{name} {100 * quality[name]:.1f} %" for name in _SHOWN if name in quality]
        errors = [f"start PA-MPJPE {quality['start_pa_mpjpe']:.0f} mm"] if "start_pa_mpjpe" in quality else []
        logger.info("step %d: %s", step, ", ".join(shares + errors) or "nothing could be measured")
        self.journal.note_quality(step, round((time.monotonic() - self.started) / 60, 2), quality)

    def _is_best(self, monitor: str, step: int) -> bool:
        value = self.record.quality.get(monitor)
        if value is None:
            logger.warning("step %d: %s was not measured, so %s is not kept", step, monitor, BEST)
            return False
        former = self.record.best.get("value")
        better = former is None or (value < former if monitor in _LOWER_IS_BETTER else value > former)
        if better:
            self.record.best = {"step": step, "monitor": monitor, "value": value}
        return better

    def _damaged(self, module: Training) -> bool:
        """Whether ``last.ckpt`` is one that could not be read: it must not take the place of the good one before it."""
        begin = module.plan.start.checkpoint
        return self.saved < 0 and begin is not None and begin.path.resolve() == (module.plan.out / PREVIOUS).resolve()

    def _save(self, trainer: L.Trainer, module: Training, step: int, name: str, former: str | None = None) -> None:
        if not trainer.is_global_zero:
            return
        plan, config = module.plan, module.config
        batches = (step - plan.start.step) * config.accumulate
        tensors = network_tensors(module.regressor, module.bank)
        if name != BEST:  # which is there to be used, not to be gone on from
            tensors |= optimizer_tensors(trainer.optimizers[0], module.regressor)
        state = {
            **self.record.about,
            "step": step,
            "batch": plan.start.batch + batches,
            "samples": plan.start.samples + batches * config.batch_size * trainer.world_size,
            "best": self.record.best,
            "quality": self.record.quality,
            "measured": self.record.measured,
            "scaler": json.loads(json.dumps(trainer.precision_plugin.state_dict())),
        }
        out = plan.out
        keep = None if former is None or self._damaged(module) else out / former
        write_checkpoint(out / name, tensors, state, keep)
        self.saved = step if name == LAST else self.saved


def held_out_batches(data: Dataset, stream: Stream, samples: int, batch_size: int) -> list[Sample]:
    """The first samples of a data set, checked and in batches. Raises InputError naming one that cannot be used."""
    count = min(samples, len(data))
    batches = []
    for first in range(0, count, batch_size):
        batch = stream[tuple((0, index) for index in range(first, min(first + batch_size, count)))]
        if isinstance(batch, Unusable):
            raise InputError(f"validation: {batch.reason}")
        batches.append(batch)
    return batches
