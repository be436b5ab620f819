"""What happens beside the training steps: measuring, noting it down, saying how far the run is."""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Callable
from pathlib import Path

import lightning as L
import torch

from nbf_core.contracts import Dataset
from nbf_core.types import collate
from nbf_run.training.validation import validate

_SHOWN = ("within_10cm", "correct_side")
logger = logging.getLogger(__name__)


class Progress(L.Callback):
    """Tells ``step(what, done, total)`` after each step."""

    def __init__(self, step: Callable[[str, int, int], None]) -> None:
        self.step = step

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        self.step("training", trainer.global_step, trainer.max_steps)


class Measure(L.Callback):
    """Every so many steps, and at the end: the quality on held-out samples, one line of ``validation.csv``."""

    def __init__(self, dataset: Dataset, samples: int, every: int, batch_size: int, path: Path) -> None:
        self.every, self.path = every, path
        indices = range(min(samples, len(dataset)))
        items = [dataset[i] for i in indices]
        self.batches = [collate(items[i : i + batch_size]) for i in range(0, len(items), batch_size)]
        self.started = time.monotonic()
        self.latest: dict[str, float] = {}

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        step = trainer.global_step
        if step and step % self.every == 0:
            self._measure(step, module)

    def on_train_end(self, trainer, module) -> None:
        if trainer.global_step % self.every:
            self._measure(trainer.global_step, module)

    def _measure(self, step: int, module: L.LightningModule) -> None:
        module.eval()
        with torch.inference_mode():
            self.latest = validate(self.batches, module.body, module.regressor, module.bank)
        module.train()
        row = {"step": step, "minutes": round((time.monotonic() - self.started) / 60, 2), **self.latest}
        shares = ", ".join(f"{name} {100 * self.latest[name]:.1f} %" for name in _SHOWN if name in self.latest)
        logger.info("step %d: %s, start PA-MPJPE %.0f mm", step, shares, self.latest["start_pa_mpjpe"])
        new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if new:
                writer.writeheader()
            writer.writerow({key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items()})
