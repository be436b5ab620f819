"""What a data set may offer beyond its contract: to make files out of others' data sets, and out of fitted people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from nbf_core.contracts.files import Step


@dataclass(frozen=True)
class ConverterInfo:
    """A converter: its name, one line about it, the values of its options, and what these mean.

    ``files``: what it writes into a folder, by file name, with the options of each.
    """

    name: str
    summary: str
    options: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    about: str = ""


@dataclass(frozen=True)
class Conversion:
    """What became of one file. With an ``error`` nothing was written; otherwise ``path`` holds ``samples`` people.

    ``skipped``: how many people or frames were left out, by the reason. ``problems``: one line for each file of the
    data set that could not be used, while the others were.
    """

    path: Path
    samples: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class PeopleTable:
    """Fitted people, ``n`` rows: what a file of labels can hold of them.

    ``images`` are paths relative to the file's folder. ``boxes`` are x, y, width, height in pixels of the image and a
    score. ``keypoints`` are those that were detected (x, y, confidence), of the set ``keypoint_set``; ``joints`` the
    body's places of ``h36m-17`` in metres in the camera's axes, where its model knows them. Parameters are those of
    :class:`~nbf_core.types.BodyParams`, in the axes of a camera with ``focal`` and ``center`` in pixels.
    """

    images: Sequence[str]
    boxes: Float[np.ndarray, "n 5"]
    keypoints: Float[np.ndarray, "n k 3"]
    keypoint_set: str
    global_orient: Float[np.ndarray, "n 3"]
    body_pose: Float[np.ndarray, "n j 3"]
    betas: Float[np.ndarray, "n s"]
    transl: Float[np.ndarray, "n 3"]
    focal: Float[np.ndarray, "n 2"]
    center: Float[np.ndarray, "n 2"]
    joints: Float[np.ndarray, "n 17 3"] | None = None


@runtime_checkable
class WritesPeople(Protocol):
    """A class of data sets that can put fitted people into a file of its own.

    ``nbf-run export`` asks ``isinstance(the class, WritesPeople)``; the kind of file is called as the data set is.
    """

    @classmethod
    def write_people(cls, people: PeopleTable, folder: Path) -> Path:
        """Write a file into ``folder``, which appears whole or not at all; its path. Raises AssetError."""
        ...


@runtime_checkable
class ConvertsFiles(Protocol):
    """A class of data sets whose files can be made from other data sets.

    ``nbf-run data convert`` asks ``isinstance(the class, ConvertsFiles)``.
    """

    @classmethod
    def converters(cls) -> Sequence[ConverterInfo]:
        """All there are."""
        ...

    @classmethod
    def convert_files(
        cls,
        name: str,
        source: Path,
        out: Path,
        options: Mapping[str, Any] | None = None,
        replace: bool = False,
        step: Step | None = None,
    ) -> Sequence[Conversion]:
        """Convert the data set in the folder ``source`` with the converter ``name``.

        ``out``: a file, made with ``options``; or a folder, into which go all usual files that agree with ``options``.
        Each file appears whole or not at all; where one cannot be made, the others are. What is there already is left
        alone unless ``replace``. Raises ConfigError for wrong names and options, InputError without a source.
        """
        ...
