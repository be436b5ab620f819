"""Configuration of the feature banks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nbf_core.config import Config


class NearestMemoryConfig(Config):
    """The bank of 3DNBF. The published values are the defaults, but for two: the published bank starts at random
    (``init = "random"``), and its noise regulariser weighs 1.

    ``init``: ``random`` unit vectors (published) or ``fourier``: random Fourier features of the kernels' rest
    positions, so that neighbours start alike; ``length`` (m) is their scale and ``turn`` (rad) the phase between
    orientation bins. ``hold`` updates leave the kernel features as they were initialised. Over the
    ``momentum_steps`` updates after them the momentum goes evenly from ``momentum`` to ``momentum_end``, where
    it stays; without ``momentum_end`` it is constant (published). A term of weight 0 is not computed.
    ``weight_figure_ground`` is not in the paper: body against the background's mean feature, where a fit decides it.
    """

    orientations: int = Field(3, ge=1)
    momentum: float = Field(0.9, ge=0, lt=1)
    momentum_end: float | None = Field(None, ge=0, lt=1)
    momentum_steps: int = Field(1000, ge=1)
    num_noise: int = Field(10, ge=1, description="background features an image gives")
    max_group: int = Field(216, ge=1, description="images the background ring holds")
    temperature: float = Field(0.07, gt=0)
    weight_noise: float = Field(5e-3, gt=0, description="shifts background similarities by its logarithm")
    weight_contrastive: float = Field(1.0, ge=0)
    weight_noise_regulariser: float = Field(0.1, ge=0)
    weight_figure_ground: float = Field(0.0, ge=0)
    init: Literal["random", "fourier"] = "fourier"
    length: float = Field(0.2, gt=0)
    turn: float = Field(1.0, ge=0)
    hold: int = Field(0, ge=0)
    seed: int = Field(0, ge=0)
