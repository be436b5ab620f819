"""What this package registers."""

from nbf_core.plugins import PipelineEntry, WeightsEntry, hookimpl

NBF_CONTRACT = 1


@hookimpl
def nbf_weights():
    yield WeightsEntry(
        name="small",
        target="nbf_model_small:data/small.safetensors",
        summary="BlazePose-based regressor and bank for the body anny, trained on synthetic people",
    )


@hookimpl
def nbf_pipelines():
    yield PipelineEntry(
        name="small",
        target="nbf_model_small:pipelines/small.toml",
        summary="trains the weights small (nbf-run train small --out DIR)",
    )
