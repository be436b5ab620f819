"""Configuration of the four-camera sequence. Imports no torch."""

from __future__ import annotations

from pydantic import Field, field_validator

from nbf_core.config import Config


class Pose2SimConfig(Config):
    """Which of the 25 moments and four cameras, and how they are cropped.

    ``image_size``: pixels along the square image. ``room``: side of the crop in longer sides of the detector's box.
    ``every``: use every so many moments. ``cameras``: 1 to 4.
    """

    image_size: int = Field(default=448, ge=32)
    room: float = Field(default=1.15, ge=1, le=1.4)
    every: int = Field(default=1, ge=1, le=25)
    cameras: tuple[int, ...] = Field(default=(1, 2, 3, 4), min_length=1)

    @field_validator("cameras")
    @classmethod
    def _cameras(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value) or not set(value) <= {1, 2, 3, 4}:
            raise ValueError("cameras are 1, 2, 3 and 4, each once")
        return value
