"""The nbf plugin: the data set ``pose2sim``."""

from nbf_core.plugins import ComponentEntry, hookimpl

NBF_CONTRACT = 1


@hookimpl
def nbf_datasets():
    """The data set of this package."""
    yield ComponentEntry(
        name="pose2sim",
        target="nbf_data_pose2sim.dataset:FourCameras",
        config="nbf_data_pose2sim.config:Pose2SimConfig",
        summary="a real person in 25 moments of a movement, each seen by four calibrated cameras",
        requires=("nbf-data-pose2sim",),
    )
