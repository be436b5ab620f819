"""Configuration of the licensed bodies. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from nbf_core.config import Config

GENDERS = ("neutral", "male", "female")


class SmplConfig(Config):
    """``path`` is the folder ``body_models`` laid out as published, or one model file (``.npz`` or ``.pkl``).

    ``gender`` chooses the file in the folder; ``shapes`` is how many shape coefficients the parameters have.
    ``regressor_extra`` and ``regressor_h36m`` regress joints from vertices; unless given, ``J_regressor_extra.npy``
    and ``J_regressor_h36m.npy`` are looked for in ``path``. ``kernels`` names the npz with the published choice of
    vertices (``indices`` and ``faces_downsampled``), which the published weights need; unless given, it is
    ``sample_params/uniform/sample_data_8-2021-04-05.npz`` beside ``path``, where that is there and the mesh is SMPL's.
    Otherwise about ``kernel_count`` vertices are chosen, evenly spread, on the neutral body where its file is there, so
    that bodies of all genders carry the same ones, and a line says so. ``kernel_precision`` is the inverse variance of
    a kernel in 1/m^2.
    """

    path: Path = Path("data/body_models")
    gender: Literal["neutral", "male", "female"] = "neutral"
    shapes: int = Field(default=10, ge=1, le=300)
    regressor_extra: Path | None = None
    regressor_h36m: Path | None = None
    kernels: Path | None = None
    kernel_count: int = Field(default=858, ge=50, le=5000)
    kernel_precision: float = Field(default=4000.0, gt=0)


class SmplhConfig(SmplConfig):
    """``joints``: ``body`` poses SMPL's 24 joints, each hand as a whole about the root of its middle finger; ``all``
    poses every joint of the file, fingers included.

    With ``flat_hands`` rotations of zero are flat hands; without, the relaxed hands of the file (joints ``all`` only).
    """

    joints: Literal["body", "all"] = "body"
    flat_hands: bool = True

    @model_validator(mode="after")
    def _hands_have_fingers(self) -> SmplhConfig:
        if not self.flat_hands and self.joints != "all":
            raise ValueError('flat_hands = false needs joints = "all"')
        return self


class SmplxConfig(SmplhConfig):
    """As for ``smplh``; with joints ``body`` jaw and eyes rest.

    ``expressions`` coefficients of the face follow the shape coefficients in the parameters.
    """

    expressions: int = Field(default=0, ge=0, le=100)
