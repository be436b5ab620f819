"""Options of the renderer: the keys of ``[renderer]`` in a pipeline. Imports no torch."""

from __future__ import annotations

from pydantic import Field

from nbf_core.config import Config


class DiscsRendererConfig(Config):
    """``reach``: the radius of a disc, in standard deviations of its kernel."""

    reach: float = Field(1.5, gt=0)
