"""Which samples come when: a pure function of the seed and the position in the run.

A run reads its data set as one endless stream: pass after pass, each in an order of its own. Position ``p`` of the
stream is all there is to know: a run that is resumed starts there, whatever the number of workers or
processes was.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import Sampler

Place = tuple[int, int]
"""Pass over the data set, and index in it."""


class Order:
    """Position in the stream to (pass, index)."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.seed = size, seed
        self._pass, self._permutation = -1, None

    def __call__(self, position: int) -> Place:
        number, offset = divmod(position, self.size)
        if number != self._pass:
            generator = torch.Generator().manual_seed(mixed(self.seed, number))
            self._pass, self._permutation = number, torch.randperm(self.size, generator=generator)
        return number, int(self._permutation[offset])


class Batches(Sampler[tuple[Place, ...]]):
    """The places of each batch of one process: its rows of ``count`` global batches from position ``start`` on.

    A global batch is ``batch_size`` samples for each of ``processes``, in the order of their ranks, so that all
    processes together see what one with as large a batch would.
    """

    def __init__(
        self, order: Order, start: int, count: int, batch_size: int, rank: int = 0, processes: int = 1
    ) -> None:
        self.order, self.start, self.count, self.batch_size = order, start, count, batch_size
        self.rank, self.processes = rank, processes

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[Place, ...]]:
        for number in range(self.count):
            first = self.start + (number * self.processes + self.rank) * self.batch_size
            yield tuple(self.order(first + row) for row in range(self.batch_size))


def mixed(*parts: int) -> int:
    """One seed of 63 bits out of several numbers."""
    value = 0
    for part in parts:
        value = (value * 6364136223846793005 + part + 1442695040888963407) % 2**64
        value ^= value >> 29
        value = value * 0xBF58476D1CE4E5B9 % 2**64
        value ^= value >> 32
    return value >> 1


def reseed(*parts: int, device: torch.device | None = None) -> None:
    """Set the generators of torch, numpy and Python: what follows depends on ``parts`` alone.

    Components should not use them; those of others may (dropout does), and must not end a resumed run otherwise.
    """
    seed = mixed(*parts)
    torch.default_generator.manual_seed(seed)
    if device is not None and device.type == "cuda":
        torch.cuda.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
