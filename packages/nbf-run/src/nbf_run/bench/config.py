"""The ``[bench]`` section of a pipeline. Imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from nbf_core.config import Config

CASE_SECTIONS = ("data",)
METHOD_SECTIONS = ("fitter", "renderer", "priors")


class CaseOptions(Config):
    """One condition of the data: ``set`` changes the ``data`` section, such as ``"data.patch_size" = 80``."""

    name: str = Field(min_length=1)
    set: dict[str, Any] = {}

    @field_validator("set")
    @classmethod
    def _sections(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _flat(value, CASE_SECTIONS)


class MethodOptions(Config):
    """One way from the start to a body.

    ``fit`` false takes the start as it is. ``start`` "truth" measures how far the fit drifts from the true
    body. ``keypoints`` false hides the detected keypoints from the fitter. ``trust`` is the weight of the
    features in [0, 1]; None: what their measured quality deserves. ``set`` changes the sections ``fitter``,
    ``renderer`` and ``priors``, such as ``"fitter.keep_only_better" = false``.
    """

    name: str = Field(min_length=1)
    fit: bool = True
    start: Literal["regressor", "truth"] = "regressor"
    keypoints: bool = True
    trust: float | None = Field(None, ge=0, le=1)
    set: dict[str, Any] = {}

    @field_validator("set")
    @classmethod
    def _sections(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _flat(value, METHOD_SECTIONS)


def _methods() -> tuple[MethodOptions, ...]:
    return (MethodOptions(name="start", fit=False), MethodOptions(name="fit"))


class BenchOptions(Config):
    """``[bench]``: which samples, under which conditions, by which methods, measured how.

    The first ``samples`` of the data set are used (all where it has fewer). ``confidence`` is that of the
    bootstrap intervals, made of ``resamples`` resamples of the people.
    """

    samples: int = Field(100, ge=1)
    batch: int = Field(8, ge=1)
    metrics: tuple[str, ...] = Field(("mpjpe", "pa-mpjpe", "pve", "pckh", "3dpck"), min_length=1)
    cases: tuple[CaseOptions, ...] = Field((CaseOptions(name="data as they are"),), min_length=1)
    methods: tuple[MethodOptions, ...] = Field(default_factory=_methods, min_length=1)
    confidence: float = Field(0.95, gt=0, lt=1)
    resamples: int = Field(2000, ge=10)

    @field_validator("cases", "methods")
    @classmethod
    def _unique(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        twice = [name for name, count in Counter(entry.name for entry in value).items() if count > 1]
        if twice:
            raise ValueError(f"the name {twice[0]!r} is given twice")
        return value


def _flat(values: Mapping[str, Any], sections: Iterable[str]) -> dict[str, Any]:
    """Nested tables as dotted keys. Raises ValueError for a key outside ``sections``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if key.partition(".")[0] not in sections:
            raise ValueError(f"{key}: only keys of {', '.join(sections)} can be set here")
        if isinstance(value, Mapping):
            flat |= _flat({f"{key}.{inner}": entry for inner, entry in value.items()}, sections)
        else:
            flat[key] = value
    return flat
