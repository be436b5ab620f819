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
    yield PipelineEntry(
        name="3dnbf-fit",
        target="nbf_run:pipelines/3dnbf-fit.toml",
        summary="the published optimisation: its terms, stages, weights and learning rates",
    )
    yield PipelineEntry(
        name="correspondence",
        target="nbf_run:pipelines/correspondence.toml",
        summary="the demo's estimates, fitted by pixel-kernel correspondences and Gauss-Newton",
    )
    yield PipelineEntry(
        name="smplify",
        target="nbf_run:pipelines/smplify.toml",
        summary="the keypoint-only baseline: SMPLify from the demo's estimates",
    )
    yield PipelineEntry(
        name="3dnbf-stage1",
        target="nbf_run:pipelines/3dnbf-stage1.toml",
        summary="the published training, first stage: COCO (needs SMPL and the data set)",
    )
    yield PipelineEntry(
        name="3dnbf-stage2",
        target="nbf_run:pipelines/3dnbf-stage2.toml",
        summary="the published training, second stage: five data sets in proportion, from stage 1's weights",
    )
