"""Options of the fakes. Imports no torch."""

from __future__ import annotations

from nbf_core.config import Config


class FakeRendererConfig(Config):
    """Options of the one-pixel renderer: it has none."""
