"""The nbf plugin: the built-in pipelines. Imports no torch."""

from __future__ import annotations

from nbf_core.plugins import PipelineEntry, hookimpl

NBF_CONTRACT = 1


@hookimpl
def nbf_pipelines():
    """The pipelines that come with the command."""
    yield PipelineEntry(
        name="demo",
        target="nbf_run:pipelines/demo.toml",
        summary="the embedded default: free body, small trained weights, keypoints and features together",
    )
    yield PipelineEntry(
        name="bench",
        target="nbf_run:pipelines/bench.toml",
        summary="start, keypoints, features and both on 100 synthetic test people, clean and behind patches",
    )
