"""A plugin module with one more renderer, for tests of swapping.

It is no installed entry point. A test says ``manager.register(plugin_fake_renderer, "nbf-testing")``.
"""

from collections.abc import Iterator

from nbf_core.plugins import ComponentEntry, hookimpl

NBF_CONTRACT = 1


@hookimpl
def nbf_renderers() -> Iterator[ComponentEntry]:
    """The one-pixel renderer, named ``fake``."""
    yield ComponentEntry(
        name="fake",
        target="nbf_testing.fakes:FakeRenderer",
        config="nbf_testing.config:FakeRendererConfig",
        summary="one pixel a kernel with a depth test, for tests",
        requires=("nbf-testing",),
    )
