"""The four-camera sequence keeps the contract of data sets."""

from nbf_data_pose2sim.config import Pose2SimConfig
from nbf_data_pose2sim.dataset import FourCameras
from nbf_testing.datasets import DatasetConformance


class TestFourCameras(DatasetConformance):
    lacks = ("params", "visible_joints", "kernel_map", "part_map")

    def make_dataset(self, body):
        return FourCameras(Pose2SimConfig(image_size=64), body=body)
