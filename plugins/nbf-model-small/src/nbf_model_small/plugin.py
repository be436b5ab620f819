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
    yield WeightsEntry(
        name="small-lift",
        target="nbf_model_small:data/small-lift.safetensors",
        summary="the guess that fits begin at (fitter.lift), from keypoints and pixels matched by small",
    )


@hookimpl
def nbf_pipelines():
    yield PipelineEntry(
        name="small",
        target="nbf_model_small:pipelines/small.toml",
        summary="trains the weights small, first part: the backbone is held (nbf-run train small --out small)",
    )
    yield PipelineEntry(
        name="small-fine",
        target="nbf_model_small:pipelines/small-fine.toml",
        summary="second part: the whole network, from small/last.ckpt on (nbf-run train small-fine --out small-fine)",
    )
    yield PipelineEntry(
        name="small-ground",
        target="nbf_model_small:pipelines/small-ground.toml",
        summary="last part: where the body ends, from small-fine (nbf-run train small-ground --out small-ground)",
    )
