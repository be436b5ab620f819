"""The Lightning trainer of a run, as its options say."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning as L
import torch

from nbf_core.errors import ConfigError
from nbf_run.training.config import TrainOptions

_PRECISION = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}
_ADVICE = ("have many workers", "exists and is not empty", "dirpath has changed", "LeafSpec", "logging interval",
           "does not have many workers", "SLURM", "barrier")  # fmt: skip


def make_trainer(options: TrainOptions, out: Path) -> L.Trainer:
    """Checkpoints and logs are this package's own, so Lightning's are off.

    Raises ConfigError naming the key where the machine has not what is asked for.
    """
    kind = accelerator(options)
    if kind == "cuda" and options.devices > torch.cuda.device_count():
        raise ConfigError(f"train.devices: {options.devices} GPUs asked for, there are {torch.cuda.device_count()}")
    if kind == "cpu" and options.precision == "float16":
        raise ConfigError("train.precision: float16 needs a GPU; bfloat16 works on a CPU too")
    several = options.devices * options.nodes > 1
    return L.Trainer(
        accelerator=kind,
        devices=options.devices,
        num_nodes=options.nodes,
        strategy=_strategy(options) if several else "auto",
        sync_batchnorm=several and kind == "cuda" and options.batch_norm == "joint",
        accumulate_grad_batches=options.accumulate,
        max_steps=-1,
        max_epochs=1,  # the stream of batches is one long epoch; what an epoch is to a user is counted apart
        precision=_PRECISION[options.precision],
        default_root_dir=out,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        limit_val_batches=0,
        use_distributed_sampler=False,
    )


def accelerator(options: TrainOptions) -> str:
    """``cpu`` or ``cuda``. Raises ConfigError where a GPU is asked for and none is there."""
    if options.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("train.device: cuda asked for, and torch finds no GPU it can use")
    return "cuda" if options.device == "cuda" or (options.device == "auto" and torch.cuda.is_available()) else "cpu"


def is_first_process() -> bool:
    """Whether this process writes the files of the run, as far as its environment tells before training begins."""
    keys = ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK")
    return all(os.environ.get(key, "0") == "0" for key in keys)


def silenced() -> None:
    """What Lightning says about itself, and its advice for machines with many cores, tells a user nothing."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    for message in _ADVICE:
        warnings.filterwarnings("ignore", message=f".*{message}.*")


@contextmanager
def process_group_ended(trainer: L.Trainer) -> Iterator[None]:
    """Leave the process as it was: a group whose other processes are gone would be waited for at the next call.

    Lightning makes an exit of an interruption; it stays an interruption here.
    """
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        if trainer.world_size > 1 and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _strategy(options: TrainOptions):
    from lightning.pytorch.strategies import DDPStrategy

    return DDPStrategy(find_unused_parameters=options.strategy.endswith("unused_parameters_true"))
