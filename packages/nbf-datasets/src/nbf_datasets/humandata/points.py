"""Keypoints of many samples, stored for some joints of a convention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nbf_core.conventions import convention, relatives
from nbf_datasets.humandata.archive import Archive


@dataclass(frozen=True)
class Stored:
    """A field of an archive [N, k, c] that is read when it is needed."""

    archive: Archive
    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        return self.archive.fields[self.name].shape

    def columns(self, columns: Sequence[int]) -> np.ndarray:
        return self.archive.columns(self.name, columns)

    def chunks(self) -> Iterator[np.ndarray]:
        return self.archive.chunks(self.name)


@dataclass(frozen=True)
class Held:
    """The same in memory, or a choice of samples of something stored."""

    values: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def columns(self, columns: Sequence[int]) -> np.ndarray:
        return self.values[:, list(columns)].astype(np.float32)

    def chunks(self) -> Iterator[np.ndarray]:
        yield self.values


@dataclass(frozen=True)
class Points:
    """Keypoints [N, n, c] of a convention, of which the rows in ``column`` are known: each is a column of ``source``.

    The last of the ``c`` numbers is a confidence.
    """

    convention: str
    column: dict[int, int]
    source: Stored | Held

    @property
    def known(self) -> tuple[str, ...]:
        """The joints that are stored, in the convention's order."""
        joints = convention(self.convention).joints
        return tuple(joints[row] for row in sorted(self.column))

    def chunks(self) -> Iterator[tuple[int, np.ndarray]]:
        """The known joints of consecutive samples, some megabytes at a time, with the number of the first."""
        columns, first = [self.column[row] for row in sorted(self.column)], 0
        for values in self.source.chunks():
            yield first, values[:, columns].astype(np.float32)
            first += len(values)

    def values(self) -> np.ndarray:
        """The known joints, float32 [N, len(known), c]."""
        return self.source.columns([self.column[row] for row in sorted(self.column)])

    def full(self) -> np.ndarray:
        """All joints of the convention, float32 [N, n, c]; those that are not known are zero."""
        count, _, size = self.source.shape
        out = np.zeros((count, len(convention(self.convention)), size), np.float32)
        out[:, sorted(self.column)] = self.values()
        return out

    def mask(self) -> np.ndarray:
        """1 for the joints of the convention that are known, uint8 [n]."""
        mask = np.zeros(len(convention(self.convention)), np.uint8)
        mask[list(self.column)] = 1
        return mask

    def joints(self, names: Sequence[str], approximate: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Joints by their names in the common vocabulary: float32 [N, len(names), c], and which are known at all, bool.

        With ``approximate`` a joint without confidence is taken from the nearest in meaning that has some, sample by
        sample. Without confidence all numbers of a joint are zero, whatever the file holds there.
        """
        rows = convention(self.convention).rows
        wanted = [(name, *relatives(name)) if approximate else (name,) for name in names]
        options = [[self.column[rows[one]] for one in some if rows.get(one) in self.column] for some in wanted]
        columns = sorted({column for some in options for column in some})
        taken = self.source.columns(columns) if columns else None
        out = np.zeros((self.source.shape[0], len(names), self.source.shape[2]), np.float32)
        for joint, some in enumerate(options):
            for column in some:
                value = taken[:, columns.index(column)]
                use = (out[:, joint, -1] <= 0) & (value[:, -1] > 0)
                out[use, joint] = value[use]
        return out, np.array([bool(some) for some in options])

    def select(self, index: np.ndarray) -> Points:
        """Some of the samples, in memory."""
        rows = sorted(self.column)
        return Points(self.convention, {row: i for i, row in enumerate(rows)}, Held(self.values()[index]))
