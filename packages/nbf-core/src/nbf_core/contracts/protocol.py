"""The contract of an occlusion protocol: which squares are put over each person of a benchmark.

Lengths on the *reference grid* are those of an image of 224 px; protocols scale them to the image they meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from nbf_core.types.sample import Sample


@dataclass(frozen=True)
class Occluder:
    """The pixels ``x0 <= x < x1``, ``y0 <= y < y1`` of one image; it may reach over the image's edge.

    Where ``x0 == x1`` or ``y0 == y1`` it covers nothing. ``size`` is its side on the reference grid; ``cell`` its
    (row, column) where it is one of a grid of ``stride`` (reference grid too). ``texture`` names the picture that it
    is cut from at ``texture_corner`` (row, column), where a list of occluders says so.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    size: float = 0
    stride: float | None = None
    cell: tuple[int, int] | None = None
    texture: str | None = None
    texture_corner: tuple[int, int] | None = None


@dataclass(frozen=True)
class OcclusionCase:
    """One row of a protocol's tables. ``name`` is unique within the protocol ("40 px"), ``size`` the occluders' on the
    reference grid (None: there are none, or they are of several sizes).

    ``choose`` empty: a person is measured under every occluder and counts with the mean of all metrics over them.
    ``choose`` names metrics: for each of these, person by person, the one occluder under which the cheap start's
    value of that metric is worst (:meth:`OcclusionProtocol.worst`) is looked for, methods are measured under that
    one, and the number reported is that of that metric. Where a person has one occluder there is nothing to look for.
    """

    name: str
    size: float | None = None
    choose: tuple[str, ...] = ()


@runtime_checkable
class OcclusionProtocol(Protocol):
    """Puts square patches over people, the same ones for whoever is measured.

    Everything is a function of the configuration, the seed, and the sample's index and image size: no order of
    calls, batch or process changes it.
    """

    cases: tuple[OcclusionCase, ...]

    def occluders(self, case: OcclusionCase, image_size: tuple[int, int], index: int) -> tuple[Occluder, ...]:
        """The candidates for sample ``index`` of an image of (height, width), in their fixed order; never empty.

        ``case`` is known by its name. A case without occluder gives one that covers nothing. Raises InputError for a
        sample the protocol does not know (of a file that lacks it): that costs this sample only.
        """
        ...

    def apply(
        self, samples: Sample, occluders: Sequence[Occluder], joints: Float[Tensor, "b 24 2"] | None = None
    ) -> Sample:
        """A copy of the collated ``samples`` with one occluder drawn over each, and what lies behind it hidden.

        ``keypoints`` and ``detected`` get confidence 0, label maps -2; ``visible_joints`` 0 for those of ``joints``
        (the true body's first 24 in pixels of the image) behind the occluder, and stays as it is without ``joints``.
        The texture depends on the seed and ``samples.index`` alone, so it is the same at every position. Labels that
        are None stay None: leave out what is not needed. ``samples`` may be views (expanded) and is not written to.
        """
        ...

    def worst(self, values: Float[Tensor, "n b"], lower_is_better: bool) -> Int[Tensor, "b"]:
        """For each person the candidate (of ``n``) with the worst value, the first of equals.

        NaN (nothing visible) is never worst; 0 where a person has nothing else.
        """
        ...


@dataclass(frozen=True)
class Chosen:
    """What the search found for one sample: the occluder, and the metric's value under it."""

    occluder: Occluder
    value: float


@runtime_checkable
class WritesOccluders(OcclusionProtocol, Protocol):
    """A protocol that can put what was chosen into a file that can be read back: an optional capability."""

    def write(
        self, folder: Path, case: OcclusionCase, metric: str, chosen: Mapping[int, Chosen], names: Mapping[int, str]
    ) -> Path:
        """Write the occluders chosen by ``metric``, by sample index, and return the file.

        ``names`` may name samples (image files), for readers; it may be empty.
        """
        ...
