"""The configuration of the gate. Imports no torch."""

from __future__ import annotations

from pydantic import Field

from nbf_core.config.base import Config


class GateConfig(Config):
    """``gate``: "off", "shipped" for the rules that come with this package, or a file of other rules."""

    gate: str = Field("off", min_length=1)
