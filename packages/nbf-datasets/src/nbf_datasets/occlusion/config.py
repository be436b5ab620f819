"""Configurations of the occlusion protocols. Imports no torch. Lengths are pixels of the reference grid of 224."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from nbf_core.config import Config

Side = Annotated[float, Field(gt=0, le=224)]
METRICS = ("mpjpe", "pa-mpjpe", "pckh")


class CleanConfig(Config):
    """No occluder: nothing to choose."""


class PatchConfig(Config):
    """``textures``: a folder of pictures that patches are cut from; None: patches are made up."""

    textures: Path | None = None


class GridConfig(PatchConfig):
    """Patches at every position. ``sizes``: their sides, a case each. ``stride``: from one position to the next."""

    sizes: tuple[Side, ...] = Field((40.0, 80.0), min_length=1)
    stride: float = Field(10.0, ge=1, le=224)

    @field_validator("sizes")
    @classmethod
    def _unique(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        return _once(value)


class AdversarialConfig(GridConfig):
    """The worst of the grid's positions, for each of ``metrics`` on its own."""

    metrics: tuple[str, ...] = Field(METRICS, min_length=1)

    @field_validator("metrics")
    @classmethod
    def _metrics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _once(value)


class VaryingConfig(PatchConfig):
    """One patch a person, of growing ``sizes``, a case each; 0 is no patch.

    ``place``: its middle is that of the image ("centre"), or is drawn for each person from the middle half of the
    image's height and width and stays there while the patch grows ("drawn").
    """

    sizes: tuple[Annotated[float, Field(ge=0, le=224)], ...] = Field(tuple(map(float, range(0, 160, 5))), min_length=1)
    place: Literal["centre", "drawn"] = "centre"

    @field_validator("sizes")
    @classmethod
    def _unique(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        return _once(value)


class FileConfig(PatchConfig):
    """Occluders as published: ``folder`` holds ``result_occ_info_METRIC.json`` for each of ``metrics``.

    Where ``textures`` is given and the file names a texture, the patch is cut from that one.
    """

    folder: Path
    metrics: tuple[str, ...] = Field(METRICS, min_length=1)

    @field_validator("metrics")
    @classmethod
    def _metrics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _once(value)


def _once(value: tuple) -> tuple:
    twice = [entry for entry, count in Counter(value).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} is given twice")
    return value
