"""The ``[train]`` section of a pipeline. Imports no torch."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field

from nbf_core.config import Config

DEFAULT_STEPS = 10_000


class TrainOptions(Config):
    """How to train.

    **How long.** ``steps`` optimiser steps or ``epochs`` of ``epoch_samples`` samples (None: the data set's length);
    with both given the sooner end counts, with neither there are 10,000 steps.
    **How much at once.** A step takes ``batch_size`` samples in each process, ``accumulate`` times.
    **Where.** ``devices`` processes on each of ``nodes`` machines, on ``device``.
    **What the bank sees.** ``kernel_features``: ``pixels``, ``samples_per_image`` random body pixels of each image by
    the data set's own kernel map; ``rendered``, each kernel's mean over the pixels that the pipeline's renderer
    draws it in (published); or ``mesh``, its mean over the pixels whose surface is nearest to it. Of the background it
    sees random pixels, a share ``background_beside`` of them next to the body (published: 0).
    **Rates.** The learning rate climbs for ``warmup`` steps and then falls along a cosine, stays, or (``trapezoid``)
    stays and falls along a line over the last ``fall`` of the steps: a run can then be made longer (``--resume``,
    ``steps``) at any time before it falls. The backbone's is ``backbone_rate`` times as high. ``clip`` bounds the
    gradient's norm (0: not at all).
    **Measuring.** Every ``validate_every`` steps ``validation_samples`` samples that are not trained on are measured;
    the checkpoint with the best ``monitor`` is kept as ``best.ckpt``. They are the split ``val`` of the data set, where
    it keeps one apart, or those of ``validation``: keys of ``[data]`` with other values, or with ``use`` another set.
    With neither nothing is measured, and a line says so.
    **Start.** ``start_from`` is a model file, a checkpoint or the name of installed weights, whose regressor
    and bank training begins with.
    ``cache`` lets the data set prepare its pictures once, below the run's directory or in the folder named.
    """

    steps: int | None = Field(None, ge=1)
    epochs: int | None = Field(None, ge=1)
    epoch_samples: int | None = Field(None, ge=1)
    batch_size: int = Field(32, ge=1)
    accumulate: int = Field(1, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = Field(1, ge=1)
    nodes: int = Field(1, ge=1)
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true"] = "auto"
    batch_norm: Literal["joint", "own"] = Field("joint", description="over all processes' samples, or each its own")
    precision: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    start_from: str | None = None
    optimizer: Literal["adamw", "adam"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.98)
    learning_rate: float = Field(1.2e-3, gt=0)
    backbone_rate: float = Field(1.0, gt=0)
    weight_decay: float = Field(0.02, ge=0)
    schedule: Literal["cosine", "constant", "trapezoid"] = "cosine"
    fall: float = Field(0.25, gt=0, le=1)
    warmup: int = Field(300, ge=0)
    clip: float = Field(1.0, ge=0)
    kernel_features: Literal["pixels", "rendered", "mesh"] = "pixels"
    samples_per_image: int = Field(64, ge=1)
    background_beside: float = Field(0.0, ge=0, le=1)
    clutter_centers: int = Field(1, ge=1, description="centres of the background that validation compares with")
    validate_every: int = Field(1000, ge=1)
    validation_samples: int = Field(192, ge=1)
    validation: dict[str, Any] = {}
    monitor: Literal["within_10cm", "correct_side", "start_mpjpe", "start_pa_mpjpe"] = "within_10cm"
    checkpoint_every: int = Field(250, ge=1)
    log_every: int = Field(50, ge=1)
    workers: int = Field(0, ge=0)
    threads: int | None = Field(None, ge=1, description="of torch; None leaves its choice")
    cache: bool | str = True

    def length(self, samples: int, processes: int) -> tuple[int, int]:
        """Optimiser steps of the whole run and of an epoch, for a data set of ``samples`` and so many processes."""
        epoch = max(1, (self.epoch_samples or samples) // (self.batch_size * processes * self.accumulate))
        limits = [self.steps, self.epochs and self.epochs * epoch]
        return min((limit for limit in limits if limit), default=DEFAULT_STEPS), epoch

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step of a run of ``steps``, as a share of ``learning_rate``."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.schedule == "constant":
            return 1.0
        if self.schedule == "trapezoid":
            return min(1.0, max(0.01, (steps - step) / (self.fall * steps)))
        progress = min(1.0, (step - self.warmup) / max(1, steps - self.warmup))
        return 0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2
