"""What a data set may offer beyond its contract: to say what is in its files, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8


@dataclass(frozen=True)
class FileProblem:
    """Something wrong with one field: of one sample, or of the whole file where ``sample`` is None.

    ``text`` is one line that says what was found and what was expected.
    """

    field: str
    text: str
    sample: int | None = None

    def __str__(self) -> str:
        return (
            f"{self.field}: {self.text}" if self.sample is None else f"sample {self.sample}: {self.field}: {self.text}"
        )


@dataclass(frozen=True)
class FileReport:
    """What a file of labels holds.

    ``usable`` is False where no run could read it; then ``problems`` says why and the rest is empty. ``fields``
    describes each field ("float32 [10, 17, 3]"), ``labels`` counts the samples that have each kind of label.
    ``images`` is the folder that its images are looked for in. ``problems`` are in the order of the samples; a sample
    that has any is one that training leaves out, and a benchmark counts as failed.
    """

    path: Path
    usable: bool
    samples: int = 0
    images: Path | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[FileProblem, ...] = ()

    @property
    def skipped(self) -> tuple[int, ...]:
        """The samples that a run would leave out."""
        if not self.usable:
            return tuple(range(self.samples))
        return tuple(sorted({problem.sample for problem in self.problems if problem.sample is not None}))


Step = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@runtime_checkable
class ReadsFiles(Protocol):
    """A class of data sets whose samples come from files that can be looked at without a pipeline.

    ``nbf-run data`` asks ``isinstance(the class, ReadsFiles)``. Nothing here raises for what is in a file.
    """

    @classmethod
    def find_files(cls, folder: Path) -> Sequence[Path]:
        """The files in a folder and below it that look like this data set's, by name."""
        ...

    @classmethod
    def check_file(
        cls, path: Path, images: Path | None = None, pictures: bool = False, step: Step | None = None
    ) -> FileReport:
        """Look at every sample. ``images`` overrides where its images are; ``pictures``: decode each of them too."""
        ...

    @classmethod
    def draw_samples(
        cls, path: Path, images: Path | None = None, count: int = 12, seed: int = 0
    ) -> UInt8[np.ndarray, "h w 3"]:
        """A contact sheet of ``count`` samples, drawn at random, with their labels over them, RGB.

        A sample whose image cannot be read is drawn as a dark tile that says so. Raises AssetError for a file that
        is not ``usable``.
        """
        ...
