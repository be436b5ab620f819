"""The occlusion protocols (3DNBF; Zhang et al., ICCV 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbf_core.contracts import Chosen, Occluder, OcclusionCase
from nbf_core.errors import InputError
from nbf_core.types import Sample
from nbf_datasets.occlusion.config import AdversarialConfig, CleanConfig, FileConfig, GridConfig, VaryingConfig
from nbf_datasets.occlusion.lists import Entry, file_name, read_occluders, write_occluders
from nbf_datasets.occlusion.paint import paint
from nbf_datasets.occlusion.places import NOTHING, around, grid
from nbf_datasets.occlusion.textures import Textures, center_of


class Patches:
    """What all protocols share: how patches are drawn, and which of them is worst."""

    cases: tuple[OcclusionCase, ...]

    def __init__(self, textures: Path | None = None, seed: int = 0):
        self.textures, self.seed = Textures(textures, seed), seed

    def apply(
        self, samples: Sample, occluders: Sequence[Occluder], joints: Float[Tensor, "b 24 2"] | None = None
    ) -> Sample:
        """Draw one occluder over each sample and hide what lies behind it. Raises ShapeError."""
        return paint(samples, occluders, self.textures, joints)

    def worst(self, values: Float[Tensor, "n b"], lower_is_better: bool) -> Int[Tensor, "b"]:
        """The first of the worst candidates of each person; NaN is never worst."""
        badness = values if lower_is_better else -values
        return torch.where(badness.isnan(), -torch.inf, badness).argmax(0)


class Clean(Patches):
    """People as they are."""

    cases = (OcclusionCase("clean"),)

    def __init__(self, config: CleanConfig | None = None, seed: int = 0):
        super().__init__(seed=seed)
        self.config = config or CleanConfig()

    def occluders(self, case: OcclusionCase, image_size: tuple[int, int], index: int) -> tuple[Occluder, ...]:
        """The occluder that covers nothing."""
        return (NOTHING,)


class Grid(Patches):
    """A patch at every position of the grid; a person counts with the mean over all of them."""

    def __init__(self, config: GridConfig | None = None, seed: int = 0):
        self.config = config or GridConfig()
        super().__init__(self.config.textures, seed)
        self.cases = tuple(OcclusionCase(f"{size:g} px", size) for size in self.config.sizes)

    def occluders(self, case: OcclusionCase, image_size: tuple[int, int], index: int) -> tuple[Occluder, ...]:
        """All positions, row by row."""
        return grid(case.size or 0, self.config.stride, image_size)


class Adversarial(Grid):
    """The position of the grid that is worst, for each person and each metric on its own (AdvOcc)."""

    def __init__(self, config: AdversarialConfig | None = None, seed: int = 0):
        config = config or AdversarialConfig()
        super().__init__(config, seed)
        self.cases = tuple(OcclusionCase(f"{size:g} px", size, config.metrics) for size in config.sizes)

    def write(
        self, folder: Path, case: OcclusionCase, metric: str, chosen: Mapping[int, Chosen], names: Mapping[int, str]
    ) -> Path:
        """Write ``result_occ_info_METRIC.json`` into ``folder``, which should be one folder a case."""
        return write_occluders(folder, metric, chosen, names)


class Varying(Patches):
    """One patch a person at a place of its own, of a growing size."""

    def __init__(self, config: VaryingConfig | None = None, seed: int = 0):
        self.config = config or VaryingConfig()
        super().__init__(self.config.textures, seed)
        self.cases = tuple(OcclusionCase(f"{size:g} px", size) for size in self.config.sizes)

    def occluders(self, case: OcclusionCase, image_size: tuple[int, int], index: int) -> tuple[Occluder, ...]:
        """The one patch of this size."""
        center = (0.5, 0.5) if self.config.place == "centre" else center_of(self.seed, index)
        return (around(center, case.size or 0, image_size),)


class FromFile(Patches):
    """The occluders of published lists, one list and one case a metric: sample ``i`` is the list's entry ``i``.

    Raises AssetError naming the file and the key that is wrong.
    """

    def __init__(self, config: FileConfig, seed: int = 0):
        super().__init__(config.textures, seed)
        self.config = config
        self._paths = {metric: config.folder / file_name(metric) for metric in config.metrics}
        self._lists = {metric: read_occluders(path) for metric, path in self._paths.items()}
        self.cases = tuple(
            OcclusionCase(metric, _common_size(entries), (metric,)) for metric, entries in self._lists.items()
        )

    def occluders(self, case: OcclusionCase, image_size: tuple[int, int], index: int) -> tuple[Occluder, ...]:
        """The one that the list holds. Raises InputError where it holds none for this sample."""
        entries = self._lists[case.name]
        entry = entries[index] if 0 <= index < len(entries) else None
        if entry is None:
            raise InputError(f"{self._paths[case.name]}: holds no occluder for sample {index}")
        return (entry.on(image_size),)


def _common_size(entries: Sequence[Entry | None]) -> float | None:
    sizes = {entry.size for entry in entries if entry is not None}
    return sizes.pop() if len(sizes) == 1 else None
