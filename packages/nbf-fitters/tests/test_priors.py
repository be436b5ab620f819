"""Priors: signs, gradients, broken files."""

import numpy as np
import pytest
import torch
from fitting_fakes import people

from nbf_core.errors import AssetError, ShapeError
from nbf_core.types import BodyParams
from nbf_fitters.config import GaussianPoseConfig, JointAngleConfig, ShapeConfig
from nbf_fitters.priors import GaussianPosePrior, JointAnglePrior, ShapePrior

# Joint (index into the body joints), axis-angle that bends it the way people do.
BENDS = {
    "left knee": (3, (1, 0, 0)),
    "right knee": (4, (1, 0, 0)),
    "left elbow": (17, (0, -1, 0)),
    "right elbow": (18, (0, 1, 0)),
}


@pytest.mark.parametrize("joint", BENDS)
def test_bending_backwards_costs_more(joint):
    index, axis = BENDS[joint]
    prior = JointAnglePrior(JointAngleConfig())
    forwards, backwards = BodyParams.neutral(1), BodyParams.neutral(1)
    forwards.body_pose[0, index] = 0.8 * torch.tensor(axis)
    backwards.body_pose[0, index] = -0.8 * torch.tensor(axis)
    assert prior(backwards) > prior(BodyParams.neutral(1)) > prior(forwards)
    torch.testing.assert_close(prior(BodyParams.neutral(1)), torch.tensor([4.0]))


def test_a_wild_angle_does_not_overflow():
    wild = BodyParams.neutral(1)
    wild.body_pose[0, 3, 0] = -100
    assert JointAnglePrior(JointAngleConfig(stiffness=10))(wild).isfinite().all()


def test_the_mean_pose_is_the_likeliest_and_the_rest_pose_is_not_typical():
    prior = GaussianPosePrior(GaussianPoseConfig())
    mean = BodyParams.neutral(1)
    mean.body_pose.copy_(prior.mean.view(1, 23, 3))
    assert prior(mean).item() == pytest.approx(0, abs=1e-6)
    assert prior(BodyParams.neutral(1)).item() > 1


@pytest.mark.parametrize(
    "prior",
    [
        GaussianPosePrior(GaussianPoseConfig()),
        JointAnglePrior(JointAngleConfig()),
        ShapePrior(ShapeConfig(free=0.5)),
    ],
)
def test_gradients(prior):
    truth, _ = people(2)
    betas = torch.randn(2, 10, dtype=torch.float64)

    def cost(pose, betas):
        return prior(BodyParams(truth.global_orient, pose, betas, truth.transl))

    inputs = (truth.body_pose.clone().requires_grad_(), betas.requires_grad_())
    assert torch.autograd.gradcheck(cost, inputs)
    assert cost(*inputs).shape == (2,)


def test_shape_costs_only_beyond_the_free_range():
    params = BodyParams.neutral(1)
    params.betas[0, :2] = torch.tensor([0.4, -3.0])
    torch.testing.assert_close(ShapePrior(ShapeConfig(free=1.0))(params), torch.tensor([4.0]))


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "pose.npz"
    for content in (None, b"", b"PK\x03\x04cut short"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(AssetError, match="pose.npz"):
            GaussianPosePrior(GaussianPoseConfig(path=str(path)))
    np.savez(path, mean=np.zeros(3))
    with pytest.raises(AssetError, match="covariance"):
        GaussianPosePrior(GaussianPoseConfig(path=str(path)))
    np.savez(path, mean=np.zeros(3), covariance=np.eye(4))
    with pytest.raises(AssetError, match="do not fit"):
        GaussianPosePrior(GaussianPoseConfig(path=str(path)))
    np.savez(path, mean=np.zeros(3), covariance=np.eye(3))
    with pytest.raises(ShapeError, match="body_pose"):
        GaussianPosePrior(GaussianPoseConfig(path=str(path)))(BodyParams.neutral(1))
