import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def people():
    """The whole data set."""
    from nbf_data_pose2sim.dataset import FourCameras

    return FourCameras()
