"""The base of every component's configuration."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Frozen, strict about names: an unknown key is refused (the pipeline reader names the nearest one)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
