"""The nbf plugin: the built-in pipelines. Imports no torch."""

from __future__ import annotations

from nbf_core.plugins import PipelineEntry, hookimpl

NBF_CONTRACT = 1

_TABLES = (
    ("table1-methods", "published table 1, methods: 3DPW, 3DPW-Occ, 3DOH50K, and synthetic people beside them"),
    ("table2-fitters", "published table 2, fitters from one start: 3DPW, and synthetic people beside them"),
    ("table3-ablations", "published table 3, ablations: 3DPW, and synthetic people beside them"),
    ("evaluation", "the published test sets, whole people: 3DPW, 3DPW-Occ, 3DOH50K, Human3.6M and MPI-INF-3DHP"),
    ("all", "every benchmark above on the data that is there; says what is missing"),
)


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
        summary="the free benchmark: start, keypoints and fits on 200 synthetic people, whole and under patches",
    )
    yield PipelineEntry(
        name="film",
        target="nbf_run:pipelines/film.toml",
        summary="the free benchmark of films: how steady bodies are, frames fitted one by one and together",
    )
    yield PipelineEntry(
        name="swap",
        target="nbf_run:pipelines/swap.toml",
        summary="one component exchanged at a time by every other one that is installed (nbf-run swap)",
    )
    for name, summary in _TABLES:
        yield PipelineEntry(name=name, target=f"nbf_run:pipelines/{name}.toml", summary=summary)
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
        name="unbiased",
        target="nbf_run:pipelines/unbiased.toml",
        summary="the staged fitter with an objective that is least at the truth, for features that find their kernels",
    )
    yield PipelineEntry(
        name="pose2sim",
        target="nbf_run:pipelines/pose2sim.toml",
        summary="a real person before four calibrated cameras: each view fitted alone, judged in the others",
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
