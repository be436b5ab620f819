"""Configuration of the synthetic people. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from nbf_core.config import Config


class SyntheticConfig(Config):
    """Which people are drawn, and how they are disturbed.

    ``split``: which motion clips the poses come from; each split has people of its own.
    ``size``: how many samples. ``seed``: of everything.
    ``image_size``, ``map_size``: pixels along the square image and along the label maps.
    ``augment``: turn, scale, flip, recolour, blur and occlude anew in each epoch.
    ``patch_size``: side of one square occluder in each image, on the reference grid of 224 px (0: none).
    ``patch_probability``: how often an augmented sample gets occluders of random size.
    ``keypoint_noise``: standard deviation of ``detected`` on the reference grid; ``keypoint_drop`` and
    ``keypoint_outlier`` are the shares that go missing or err three times as far.
    ``noise``: standard deviation of the pixel noise (of 255) of samples that are not augmented;
    ``blur``: the share of them that is blurred.
    ``colours``: "clothes", or "parts" for one fixed colour per part (the control of experiments).
    ``others``: the share of pictures with one or two more people; only in the split "train" may they, or furniture,
    stand before the person on purpose.
    ``cache``: a folder that ``prepare`` fills with base pictures; None renders each sample when asked for.
    """

    split: Literal["train", "val", "test"] = "train"
    size: int = Field(default=20000, ge=1)
    seed: int = Field(default=0, ge=0)
    image_size: int = Field(default=128, ge=32)
    map_size: int = Field(default=64, ge=8)
    augment: bool = False
    patch_size: int = Field(default=0, ge=0, le=224)
    patch_probability: float = Field(default=0.5, ge=0, le=1)
    keypoint_noise: float = Field(default=2.0, ge=0)
    keypoint_drop: float = Field(default=0.03, ge=0, le=1)
    keypoint_outlier: float = Field(default=0.03, ge=0, le=1)
    noise: float = Field(default=3.0, ge=0)
    blur: float = Field(default=0.3, ge=0, le=1)
    colours: Literal["clothes", "parts"] = "clothes"
    others: float = Field(default=0.4, ge=0, le=1)
    cache: Path | None = None


class SyntheticFilmConfig(Config):
    """Films of people who walk past a camera that stands still, one person and one place a film.

    ``films`` films of ``frames`` frames, ``rate`` a second: a sample is a frame. The detector's and the camera's noise
    (see ``synthetic``) is another one in each frame. ``seed``: of everything.
    """

    films: int = Field(default=4, ge=1)
    frames: int = Field(default=24, ge=3)
    rate: float = Field(default=25.0, gt=0)
    seed: int = Field(default=0, ge=0)
    image_size: int = Field(default=128, ge=32)
    map_size: int = Field(default=64, ge=8)
    keypoint_noise: float = Field(default=2.0, ge=0)
    keypoint_drop: float = Field(default=0.03, ge=0, le=1)
    keypoint_outlier: float = Field(default=0.03, ge=0, le=1)
    noise: float = Field(default=3.0, ge=0)
