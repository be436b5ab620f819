"""What this package gives to nbf."""

from collections.abc import Iterator

from nbf_core.plugins import ComponentEntry, hookimpl

NBF_CONTRACT = 1


@hookimpl
def nbf_renderers() -> Iterator[ComponentEntry]:
    """The compiled volume renderer."""
    yield ComponentEntry(
        name="numba",
        target="nbf_render_numba.renderer:NumbaRenderer",
        config="nbf_render_numba.config:NumbaConfig",
        summary="volume rendering of Gaussian kernels, compiled for CPUs, analytic gradients, scores without features",
        requires=("nbf-render-numba",),
    )
