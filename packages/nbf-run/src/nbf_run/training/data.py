"""Batches of checked samples, made by worker processes or in this one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from nbf_core.contracts import Dataset, Regressor
from nbf_core.errors import InputError, NbfError
from nbf_core.types import BodySpec, Sample, collate
from nbf_core.types.tree import TensorRecord
from nbf_run.training.order import Batches, Order, Place, reseed


@dataclass(frozen=True)
class Unusable(TensorRecord):
    """In place of a batch: why there is none. Exceptions of workers would reach the user as tracebacks."""

    reason: str


@dataclass(frozen=True)
class Limits:
    """What a sample must keep within: sides in pixels, and the numbers of labels."""

    image_size: int
    map_size: int
    kernels: int
    joints: int

    @classmethod
    def of(cls, regressor: Regressor, spec: BodySpec) -> Limits:
        """What this regressor and body take."""
        return cls(regressor.image_size, regressor.map_size, spec.kernels, len(spec.joint_names))


class Stream(TorchDataset):
    """The data set by batches of places; every sample is checked before it is used."""

    def __init__(self, data: Dataset, limits: Limits, seed: int) -> None:
        self.data, self.limits, self.seed = data, limits, seed

    def __getitem__(self, places: tuple[Place, ...]) -> Sample | Unusable:
        samples = []
        for number, index in places:
            try:
                samples.append(self.sample(number, index))
            except (NbfError, OSError) as error:
                return Unusable(self._named(index, error))
        return collate(samples, partial=True)

    def sample(self, number: int, index: int) -> Sample:
        """Sample ``index`` as the pass ``number`` disturbs it."""
        reseed(self.seed, number, index)
        if hasattr(self.data, "set_epoch"):
            self.data.set_epoch(number)
        sample = self.data[index]
        check_sample(sample, self.limits)
        return sample

    def _named(self, index: int, error: Exception) -> str:
        where = self.data.describe(index) if hasattr(self.data, "describe") else f"sample {index}"
        return f"{where}: {' '.join(str(error).split())}"


class TrainingData(L.LightningDataModule):
    """The batches of this process, from position ``start`` of the stream on."""

    def __init__(self, stream: Stream, cache: Path | None, workers: int) -> None:
        super().__init__()
        self.stream, self.cache, self.workers = stream, cache, workers
        self.batches: Batches | None = None

    def prepare_data(self) -> None:
        """Let the data set make what is slow to make; Lightning calls it in one process of each machine."""
        if self.cache is not None and hasattr(self.stream.data, "prepare"):
            self.stream.data.prepare(self.cache, workers=max(1, self.workers))

    def choose(self, batches: Batches) -> None:
        """Say which batches are to come."""
        self.batches = batches

    def train_dataloader(self) -> DataLoader:
        """Called by Lightning in every process, after :meth:`prepare_data` in one."""
        self.prepare_data()  # opens here what is prepared by now
        return loader(self.stream, self.batches, self.workers)


def loader(stream: Stream, batches: Batches, workers: int) -> DataLoader:
    """Whole batches in the order of ``batches``, whatever the number of workers."""
    return DataLoader(
        stream,
        batch_size=None,
        sampler=batches,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )


def order_of(data: Dataset, seed: int) -> Order:
    """The stream's order. Raises InputError for a data set without samples."""
    if len(data) == 0:
        raise InputError("data: the data set holds no samples")
    return Order(len(data), seed)


def check_sample(sample: Sample, limits: Limits) -> None:
    """Raise InputError naming the field whose values cannot be trained on, and the value."""
    side = limits.image_size
    if sample.image.dtype != torch.uint8 or tuple(sample.image.shape) != (3, side, side):
        kind = f"{sample.image.dtype} {tuple(sample.image.shape)}"
        raise InputError(f"image: expected torch.uint8 {(3, side, side)}, got {kind}")
    for name, value in named_tensors(sample).items():
        if value.is_floating_point() and not value.isfinite().all():
            at = tuple((~value.isfinite()).nonzero()[0].tolist())
            raise InputError(f"{name}: holds {value[at].item()} at {list(at)}")
    if not (sample.camera.focal > 0).all():
        raise InputError(f"camera.focal: expected positive pixels, got {sample.camera.focal.tolist()}")
    for name, end in (("kernel_map", limits.kernels), ("part_map", limits.joints)):
        value = getattr(sample, name)
        if value is not None:
            _check_map(name, value, end, limits.map_size)
    if sample.occluded is not None and tuple(sample.occluded.shape) != (limits.map_size,) * 2:
        raise InputError(f"occluded: expected {(limits.map_size,) * 2} cells, got {tuple(sample.occluded.shape)}")
    for name in ("keypoints", "detected"):
        value = getattr(sample, name)
        if value is not None and (value[:, 2] < 0).any():
            raise InputError(f"{name}: holds the confidence {value[:, 2].min():g}, expected 0 or more")


def _check_map(name: str, value: Tensor, end: int, side: int) -> None:
    if tuple(value.shape) != (side, side):
        raise InputError(f"{name}: expected {(side, side)} labels, got {tuple(value.shape)}")
    low, high = int(value.min()), int(value.max())
    if low < -2 or high >= end:
        raise InputError(f"{name}: holds the label {low if low < -2 else high}, expected -2 (occluder) to {end - 1}")


def named_tensors(record: TensorRecord, prefix: str = "") -> dict[str, Tensor]:
    """The tensors of a record and of the records in it, by dotted name."""
    found: dict[str, Tensor] = {}
    for name, value in vars(record).items():
        if isinstance(value, Tensor):
            found[prefix + name] = value
        elif isinstance(value, TensorRecord):
            found |= named_tensors(value, f"{prefix}{name}.")
    return found
