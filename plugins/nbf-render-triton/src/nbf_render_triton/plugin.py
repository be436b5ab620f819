"""What this package gives to nbf."""

from collections.abc import Iterator

from nbf_core.plugins import ComponentEntry, hookimpl

NBF_CONTRACT = 1


@hookimpl
def nbf_renderers() -> Iterator[ComponentEntry]:
    """The Gaussian volume renderer on NVIDIA GPUs."""
    yield ComponentEntry(
        name="triton",
        target="nbf_render_triton.renderer:TritonRenderer",
        config="nbf_render_triton.config:TritonConfig",
        summary="volume rendering of Gaussian kernels, Triton kernels for NVIDIA GPUs, analytic gradient",
        requires=("triton",),
    )
