"""What this package offers to nbf. Imports no torch: the class is imported when it is used."""

from nbf_core.plugins import ComponentEntry, hookimpl

NBF_CONTRACT = 1


@hookimpl
def nbf_renderers():
    """The renderer of this package."""
    yield ComponentEntry(
        name="discs",
        target="nbf_render_discs.renderer:DiscsRenderer",
        config="nbf_render_discs.config:DiscsRendererConfig",
        summary="kernels as soft discs; the nearest hides the others",
        requires=("nbf-render-discs",),
    )
