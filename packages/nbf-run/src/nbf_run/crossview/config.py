"""The ``[crossview]`` section of a pipeline. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from nbf_core.config import Config

METHOD_SECTIONS = ("fitter", "renderer", "priors")


class MethodOptions(Config):
    """``[crossview.methods.NAME]``: one way from a picture to a body.

    ``kind``: "fit"; "start", the network's estimate as it is; "detector", the detector's own 3D points; "others", the
    keypoints of the *other* views triangulated, which is no method but what the truth agrees with itself to.
    ``pipeline`` names another pipeline whose fitter and networks are used in place of this one's. ``trust`` is the
    weight of the features in [0, 1]; None: what their measured quality deserves. ``keypoints`` false hides the
    keypoints from the fitter. ``set`` changes the sections ``fitter``, ``renderer`` and ``priors``.
    """

    kind: Literal["fit", "start", "detector", "others"] = "fit"
    about: str = ""
    pipeline: str | None = None
    trust: float | None = Field(None, ge=0, le=1)
    keypoints: bool = True
    set: Annotated[dict[str, Any], BeforeValidator(lambda value: _flat(value, METHOD_SECTIONS))] = {}


def _methods() -> dict[str, Any]:
    return {"start": {"kind": "start"}, "fit": {}}


class CrossviewOptions(Config):
    """``[crossview]``: which methods, and how their bodies are scored in the pictures of other cameras.

    The first ``moments`` moments of the data set are used (all where None). A keypoint counts from a confidence of
    ``min_confidence``. ``share``: a keypoint is hit within this share of a head; ``head``: a head's length in trunks
    (middle of the shoulders to middle of the hips). ``reference``: whom the others are compared with, beside the
    detector's own points. ``confidence`` is that of the bootstrap intervals, made of ``resamples`` resamples of the
    moments. ``pictures``: moments to draw.
    """

    moments: int | None = Field(None, ge=1)
    min_confidence: float = Field(0.3, ge=0, le=1)
    share: float = Field(0.5, gt=0)
    head: float = Field(0.45, gt=0)
    methods: dict[str, MethodOptions] = Field(default_factory=_methods, validate_default=True, min_length=1)
    reference: str | None = None
    confidence: float = Field(0.95, gt=0, lt=1)
    resamples: int = Field(2000, ge=10)
    pictures: int = Field(4, ge=0)

    @model_validator(mode="after")
    def _known(self) -> CrossviewOptions:
        if self.reference is not None and self.reference not in self.methods:
            raise ValueError(f"reference: {self.reference!r} is none of the methods ({', '.join(self.methods)})")
        return self


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
