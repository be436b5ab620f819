"""The plugin: one body model, ``anny``. Imports no torch."""

from __future__ import annotations

from nbf_core.plugins import ComponentEntry, hookimpl

NBF_CONTRACT = 1


@hookimpl
def nbf_body_models():
    """The free body."""
    yield ComponentEntry(
        name="anny",
        target="nbf_body_anny.body:AnnyBody",
        config="nbf_body_anny.config:AnnyConfig",
        summary="Free 24-joint body in SMPL's parameters (anny: Apache-2.0 code, CC0 data)",
    )
