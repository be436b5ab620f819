"""The ``[train]`` section of a pipeline. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nbf_core.config import Config


class TrainOptions(Config):
    """How to train.

    ``samples_per_image`` body pixels of each image go to the bank and its loss. The learning rate climbs for
    ``warmup`` steps and falls along a cosine; the backbone's is ``backbone_rate`` times as high.
    ``validate_every`` steps, ``validation_samples`` samples of the split ``val`` are measured.
    ``cache`` lets the data set prepare its pictures once, below the run's directory or in the folder named.
    """

    steps: int = Field(10_000, ge=1)
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(1.2e-3, gt=0)
    backbone_rate: float = Field(1.0, gt=0)
    weight_decay: float = Field(0.02, ge=0)
    warmup: int = Field(300, ge=0)
    clip: float = Field(1.0, gt=0)
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    samples_per_image: int = Field(64, ge=1)
    validate_every: int = Field(1000, ge=1)
    validation_samples: int = Field(192, ge=1)
    checkpoint_every: int = Field(250, ge=1)
    workers: int = Field(0, ge=0)
    threads: int | None = Field(None, ge=1, description="of torch; None leaves its choice")
    cache: bool | str = True
