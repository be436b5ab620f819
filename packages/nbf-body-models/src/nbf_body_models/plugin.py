"""The plugin: the body models ``smpl``, ``smplh`` and ``smplx``. Imports no torch."""

from __future__ import annotations

from nbf_core.plugins import ComponentEntry, hookimpl

NBF_CONTRACT = 1

_ABOUT = {
    "smpl": "SMPL, neutral, male or female: 24 joints (needs its files)",
    "smplh": "SMPL-H: SMPL with fingers (needs its files)",
    "smplx": "SMPL-X: SMPL with fingers, jaw, eyes and expressions (needs its files)",
}


@hookimpl
def nbf_body_models():
    """The licensed bodies."""
    for name, about in _ABOUT.items():
        yield ComponentEntry(
            name=name,
            target=f"nbf_body_models.body:{name.capitalize()}Body",
            config=f"nbf_body_models.config:{name.capitalize()}Config",
            summary=about,
            requires=("nbf-body-models[smplx]",),
        )
