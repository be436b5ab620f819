"""Joint priors: what they forbid, what they leave alone, gradients everywhere."""

import math

import pytest
import torch
from fitting_fakes import people

from nbf_core.errors import ShapeError
from nbf_core.types import BodyParams
from nbf_fitters.config import JointConfig, JointLimitsConfig, SmoothJointsConfig
from nbf_fitters.priors_joints import JOINT_LIMITS, JointLimitsPrior, JointPrior, SmoothJointsPrior

NAMES = [row[0] for row in JOINT_LIMITS]


def turned(name: str, axis: tuple, degrees: float) -> BodyParams:
    params = BodyParams.neutral(1)
    params.body_pose[0, NAMES.index(name)] = torch.tensor(axis).float() * math.radians(degrees)
    return params


# Joint, axis of the body (x to its left, y up, z forward), degrees that people can do and cannot do.
@pytest.mark.parametrize(
    "name, axis, possible, impossible",
    [
        ("left_knee", (1, 0, 0), 120, -30),
        ("right_knee", (1, 0, 0), 120, -30),
        ("left_elbow", (0, -1, 0), 80, -30),
        ("right_elbow", (0, 1, 0), 80, -30),
        ("left_hip", (1, 0, 0), -40, -80),
        ("head", (0, 1, 0), 40, 90),
    ],
)
def test_limits_tell_what_joints_can_do(name, axis, possible, impossible):
    prior = JointLimitsPrior(JointLimitsConfig())
    assert prior(turned(name, axis, possible)).item() == pytest.approx(0, abs=1e-9)
    excess = prior(turned(name, axis, impossible)).item()
    assert excess > 0.1
    assert JointLimitsPrior(JointLimitsConfig(slack=20))(turned(name, axis, impossible)).item() < excess


def test_a_joint_beyond_its_limit_costs_by_its_excess():
    cost = JointLimitsPrior(JointLimitsConfig())(turned("left_knee", (1, 0, 0), -30))
    torch.testing.assert_close(cost, torch.tensor([(math.exp(math.radians(30)) - 1) ** 2]))


def test_the_published_limits_punish_an_elbow_beyond_a_right_angle():
    """A fault kept on purpose, and the reason why no built-in pipeline uses this prior."""
    assert JointLimitsPrior(JointLimitsConfig())(turned("left_elbow", (0, -1, 0), 120)) > 100


def test_a_quarter_turn_of_every_joint_has_finite_gradients():
    for axis in torch.eye(3).tolist():
        params = BodyParams.neutral(1)
        pose = (torch.tensor(axis) * math.pi / 2).expand(1, 23, 3).clone().requires_grad_()
        turned_all = BodyParams(params.global_orient, pose, params.betas, params.transl)
        JointLimitsPrior(JointLimitsConfig())(turned_all).sum().backward()
        assert pose.grad.isfinite().all()


def test_the_published_prior_costs_least_about_the_hinge_itself():
    prior = JointPrior(JointConfig())
    hinge = turned("left_knee", (1, 0, 0), 60)
    assert prior(turned("left_knee", (0, 1, 0), 60)) > prior(hinge)
    torch.testing.assert_close(prior(hinge), prior(turned("left_knee", (1, 0, 0), -10)))
    torch.testing.assert_close(prior(BodyParams.neutral(1)), torch.tensor([4.0]))


def test_a_spine_bent_both_ways_costs():
    prior = JointPrior(JointConfig(smooth_spine="spine"))
    same, opposed = BodyParams.neutral(1), BodyParams.neutral(1)
    same.body_pose[0, [2, 5, 8], 0] = torch.tensor([0.3, 0.3, 0.3])
    opposed.body_pose[0, [2, 5, 8], 0] = torch.tensor([0.3, -0.3, 0.3])
    assert prior(opposed) > prior(same)
    torch.testing.assert_close(prior(same), prior(BodyParams.neutral(1)))


def test_frames_cost_what_they_turn_and_one_frame_nothing():
    prior = SmoothJointsPrior(SmoothJointsConfig())
    pose = torch.zeros(3, 23, 3)
    pose[1:, 4, 2] = 0.1
    none = torch.zeros(3, 3)
    cost = prior(BodyParams(none, pose, none, none))
    # Rows 1 and 2 of a turn about z: 1 - cos, sin, sin, 1 - cos.
    torch.testing.assert_close(cost, torch.tensor([0.0, 2 * (1 - math.cos(0.1)) + 2 * math.sin(0.1), 0.0]))
    assert prior(BodyParams.neutral(1)).tolist() == [0]
    assert prior(BodyParams.neutral(0)).shape == (0,)


@pytest.mark.parametrize(
    "prior",
    [
        JointPrior(JointConfig(smooth_spine="spine")),
        JointLimitsPrior(JointLimitsConfig()),
        SmoothJointsPrior(SmoothJointsConfig()),
    ],
)
def test_gradients(prior):
    truth, _ = people(2)
    pose = truth.body_pose + 0.3 * torch.randn(
        truth.body_pose.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )

    def cost(pose):
        return prior(BodyParams(truth.global_orient, pose, truth.betas, truth.transl))

    assert torch.autograd.gradcheck(cost, (pose.requires_grad_(),))
    assert cost(pose).shape == (2,)


def test_a_body_with_fewer_joints_is_refused():
    few = BodyParams(torch.zeros(1, 3), torch.zeros(1, 5, 3), torch.zeros(1, 10), torch.zeros(1, 3))
    for prior in (JointPrior(JointConfig()), JointLimitsPrior(JointLimitsConfig())):
        with pytest.raises(ShapeError, match="body_pose: the joint"):
            prior(few)
