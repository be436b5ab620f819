"""What this package gives to nbf."""

from collections.abc import Iterator

from nbf_core.plugins import ComponentEntry, hookimpl

NBF_CONTRACT = 1


@hookimpl
def nbf_renderers() -> Iterator[ComponentEntry]:
    """The Gaussian volume renderer."""
    yield ComponentEntry(
        name="gaussian",
        target="nbf_renderers.gaussian:GaussianRenderer",
        config="nbf_renderers.config:GaussianConfig",
        summary="volume rendering of Gaussian kernels, sparse, plain PyTorch, any device",
        requires=("nbf-renderers",),
    )
