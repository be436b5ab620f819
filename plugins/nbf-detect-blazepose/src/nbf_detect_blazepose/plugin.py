"""The nbf plugin: a detector, ``blazepose``, and the weights of its landmark network."""

from nbf_core.plugins import ComponentEntry, WeightsEntry, hookimpl

NBF_CONTRACT = 1


@hookimpl
def nbf_detectors():
    """The detector of this package."""
    yield ComponentEntry(
        name="blazepose",
        target="nbf_detect_blazepose.detector:BlazePoseDetector",
        config="nbf_detect_blazepose.config:BlazePoseConfig",
        summary="BlazePose (full) on a whole photo: a few people, OpenPose-25 keypoints, 3D landmarks",
        requires=("nbf-detect-blazepose", "ai-edge-litert"),
    )


@hookimpl
def nbf_weights():
    """The landmark network's convolutions, to start training from."""
    yield WeightsEntry(
        name="blazepose-full",
        target="nbf_detect_blazepose:data/blazepose-full.safetensors",
        summary="BlazePose's landmark network as a backbone (regressor.backbone = blazepose, pretrained = true)",
    )
