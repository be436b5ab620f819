"""Batches in an order that depends on the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Sampler

from nbf_core.contracts import Dataset
from nbf_core.types import collate


class EpochSampler(Sampler[int]):
    """A new permutation each epoch; tells the data set which epoch it is."""

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self.dataset, self.seed, self.epoch = dataset, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch
        if hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(epoch)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        return iter(torch.randperm(len(self.dataset), generator=generator).tolist())

    def __len__(self) -> int:
        return len(self.dataset)


def training_batches(dataset: Dataset, batch_size: int, seed: int, workers: int) -> DataLoader:
    """Whole batches of collated samples."""
    sampler = EpochSampler(dataset, seed)
    return DataLoader(dataset, batch_size, sampler=sampler, num_workers=workers, collate_fn=collate, drop_last=True)
