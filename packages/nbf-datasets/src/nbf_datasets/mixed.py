"""Several data sets in fixed proportions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from nbf_core.contracts import BodyModel, Dataset
from nbf_core.errors import ConfigError
from nbf_core.plugins import get_plugin_manager
from nbf_core.types import Sample
from nbf_datasets.config import MixedConfig


class MixedDataset:
    """``config.length`` samples an epoch, of which each part gives its share exactly (to rounding).

    A sample is a function of the configuration, the epoch (:meth:`set_epoch`) and its index. Each part is gone through
    in a shuffled order and wholly before it begins again, across epochs; its own augmentation sees the number of
    that round as its epoch. Raises ConfigError for a part whose share of an epoch is no sample, or that is empty. With
    ``split`` "val" it is what the parts keep apart to measure on, each in its share; nothing where none of them does.
    """

    def __init__(self, config: MixedConfig, body: BodyModel | None = None) -> None:
        self.config, self.epoch = config, 0
        parts = {name: part for name in config.parts if (part := self._part_of(name, body)) is not None}
        self.names, self.parts = tuple(parts), list(parts.values())
        self.counts = shares([config.parts[name].ratio for name in self.names], config.length) if parts else []
        for name, count in zip(self.names, self.counts, strict=True):
            if count == 0:
                raise ConfigError(f"data.parts.{name}.ratio: gives no sample in an epoch of {config.length}")
        generator = np.random.default_rng((config.seed, 1))
        # Which part each index belongs to, and the how-manieth of its part it is: the same in every epoch.
        self._part = generator.permutation(np.repeat(np.arange(len(self.parts)), np.array(self.counts, int)))
        self._rank = np.empty(len(self), np.int64)
        for part, count in enumerate(self.counts):
            self._rank[self._part == part] = np.arange(count)
        self._rounds: dict[int, tuple[int, np.ndarray]] = {}

    def __len__(self) -> int:
        return sum(self.counts)

    def set_epoch(self, epoch: int) -> None:
        """Choose which samples of the parts the indices stand for."""
        self.epoch = epoch

    def prepare(self, directory: str | Path, workers: int = 1) -> None:
        """Let each part that has something to prepare do it, in a folder of its own."""
        for name, part in zip(self.names, self.parts, strict=True):
            if hasattr(part, "prepare"):
                part.prepare(Path(directory) / name, workers)

    def place(self, index: int) -> tuple[int, int, int]:
        """Number of the part, index in it, and round through it that ``index`` stands for in this epoch."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        part = int(self._part[index])
        drawn = self.epoch * self.counts[part] + int(self._rank[index])
        number, position = divmod(drawn, len(self.parts[part]))
        return part, int(self._order(part, number)[position]), number

    def describe(self, index: int) -> str:
        """Where a sample comes from, for messages."""
        part, own, _ = self.place(index)
        return f"sample {index} (sample {own} of {self.names[part]})"

    def __getitem__(self, index: int) -> Sample:
        part, own, number = self.place(index)
        data = self.parts[part]
        if hasattr(data, "set_epoch"):
            data.set_epoch(number)
        return replace(data[own], index=torch.tensor(index))

    def _part_of(self, name: str, body: BodyModel | None) -> Dataset | None:
        """A part; None for one that keeps nothing apart where samples to measure on are asked for."""
        config, measured = self.config.config_of(name), self.config.split == "val"
        if measured and "split" not in type(config).model_fields:
            return None
        part = get_plugin_manager().get("datasets", self.config.parts[name].use).load()(config, body=body)
        if len(part) == 0 and not measured:
            raise ConfigError(f"data.parts.{name}: the data set holds no samples")
        return part if len(part) else None

    def _order(self, part: int, number: int) -> np.ndarray:
        """The order of a part in one round; the latest is kept."""
        kept = self._rounds.get(part)
        if kept is None or kept[0] != number:
            generator = np.random.default_rng((self.config.seed, 2, part, number))
            kept = self._rounds[part] = (number, generator.permutation(len(self.parts[part])))
        return kept[1]


def shares(ratios: list[float], total: int) -> list[int]:
    """Whole numbers in these proportions that add up to ``total``: the largest remainders are rounded up."""
    exact = np.array(ratios, np.float64) / sum(ratios) * total
    counts = np.floor(exact + 1e-9).astype(int)
    largest = np.argsort(counts - exact, kind="stable")[: total - counts.sum()]
    counts[largest] += 1
    return counts.tolist()
