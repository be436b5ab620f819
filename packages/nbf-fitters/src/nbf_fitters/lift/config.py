"""The configuration of the lift. Imports no torch."""

from __future__ import annotations

from pydantic import Field

from nbf_core.config.base import Config


class LiftConfig(Config):
    """``lift``: "off", or the weights (a name or a file) of a network that guesses each body from keypoints and matched
    pixels, to begin from there instead of from the regressor's estimate."""

    lift: str = Field("off", min_length=1)
