"""The nbf plugin: one detector, ``blazepose``."""

from nbf_core.plugins import ComponentEntry, hookimpl

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
