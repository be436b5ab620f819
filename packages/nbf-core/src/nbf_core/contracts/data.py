"""The contracts of data sets, detectors and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from nbf_core.types.people import Person
from nbf_core.types.sample import Sample


@runtime_checkable
class Dataset(Protocol):
    """A map-style torch data set of samples.

    Optional methods are used by training where they exist: ``set_epoch(epoch)`` gives the samples of an epoch an
    augmentation of their own, a function of epoch and index alone: it is called before every sample, in the
    process that asks for the sample, and must change nothing in others; ``prepare(directory, workers)`` makes
    whatever is slow to make once; ``describe(index)`` names a sample in error messages.

    Options that training knows: ``split``, whose value "val" gives the samples that are kept apart to measure on (none
    where nothing is); ``augment``, which is off for these, and ``skip``, on, leaves out what cannot be used.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample:
        """The same index gives the same sample, on any machine and in any worker."""
        ...


@runtime_checkable
class FilmDataset(Dataset, Protocol):
    """A data set whose samples are frames of films: an optional capability.

    Whoever measures asks ``isinstance(dataset, FilmDataset)``: metrics of movement are known for films alone, and
    methods may fit the frames of one together (:class:`~nbf_core.contracts.SequenceFitter`).
    """

    @property
    def films(self) -> Sequence[range]:
        """The samples of each film: consecutive frames of one person, all the same time apart, in order."""
        ...


@runtime_checkable
class Detector(Protocol):
    """Finds people and their 2D keypoints in a whole image."""

    def detect(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Person]:
        """People in an RGB image, the most certain first; an empty list where there is nobody."""
        ...


@runtime_checkable
class Metric(Protocol):
    """Compares predictions with the truth, per sample.

    ``takes`` names what the ``n`` points are: "joints" or "vertices" (metres, centred on the pelvis by the
    caller), or "keypoints" (the 14 LSP joints in pixels, head segment last). "film" are joints of ``b`` consecutive
    frames of one person. "occlusion" are pixels (``d`` is 1): how surely the body is hidden there, from 0 to 1, the
    pixels that count being the visible ones. Whoever measures skips metrics of what he does not have.
    """

    unit: str  # "mm", "%"
    lower_is_better: bool
    takes: str

    def __call__(
        self, predicted: Float[Tensor, "b n d"], truth: Float[Tensor, "b n d"], visible: Float[Tensor, "b n"]
    ) -> Float[Tensor, "b"]:
        """One value a sample over its visible joints (metres or pixels in, ``unit`` out); NaN where none is."""
        ...
