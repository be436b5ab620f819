"""Every output of the published priors, values and gradients, against ours.

Published gradients are of the sum of loss times (1, 2, ...) over all its numbers.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from nbf_core.types import BodyParams
from nbf_fitters import config, priors, priors_joints, priors_mixture
from nbf_fitters.terms import geman_mcclure, keypoint_cost
from nbf_testing.golden import cases

CASES = pytest.mark.parametrize("case", cases("priors", Path(__file__).parent / "golden"), ids=str)


def check(case, name, prior, leaf="body_pose"):
    """Compare a prior's numbers, their gradient, and that the prior itself is their sum over each person."""
    # Ours in double: the published float32 has its own rounding.
    pose, betas = (case.tensor(key).double().requires_grad_(key == leaf) for key in ("body_pose", "betas"))
    nothing = torch.zeros(len(pose), 3, dtype=torch.float64)
    params = BodyParams(nothing, pose.view(len(pose), -1, 3), betas, nothing)
    values = prior.terms(params) if hasattr(prior, "terms") else prior(params)
    if name == "gmm":
        values = values.amin(1)
    case.check(name, values)
    scale = torch.arange(1, values.numel() + 1).view(values.shape)
    (gradient,) = torch.autograd.grad((values * scale).sum(), pose if leaf == "body_pose" else betas)
    case.check(f"{name}_grad", gradient)
    torch.testing.assert_close(prior(params), values.flatten(1).sum(1) if values.ndim > 1 else values)


@CASES
def test_shape(case):
    check(case, "shape", priors.ShapePrior(config.ShapeConfig()), leaf="betas")


@CASES
def test_joints(case):
    check(case, "joint", priors_joints.JointPrior(config.JointConfig()))
    published = config.JointConfig(smooth_spine="published", smooth_spine_weight=0.5)
    check(case, "joint_smooth_spine", priors_joints.JointPrior(published))
    check(case, "joint_full_body", priors_joints.JointLimitsPrior(config.JointLimitsConfig()))
    check(case, "smooth_joint", priors_joints.SmoothJointsPrior(config.SmoothJointsConfig()))


@CASES
def test_mixture(case, tmp_path):
    path = tmp_path / "mixture.npz"
    priors_mixture.write_mixture(path, *(case.inputs[f"gmm_{name}"] for name in priors_mixture.NAMES))
    prior = priors_mixture.MixturePosePrior(config.MixturePoseConfig(path=str(path)))
    check(case, "gmm", prior)
    expected = np.sort(-np.log(case.outputs["gmm_nll_weights"].astype(np.float64))[0])
    np.testing.assert_allclose(np.sort(prior.constants.numpy()), expected, rtol=1e-5)


@CASES
def test_keypoints(case):
    seen, target = case.tensor("kp_pred", requires_grad=True), case.tensor("kp_target")
    confidence = case.tensor("kp_pred_conf") * case.tensor("kp_target_conf") * case.tensor("kp_weight")
    share = (confidence / (confidence.sum(-1, keepdim=True) + 1e-8))[..., None]
    values = share * geman_mcclure(seen - target, case.scalar("sigma"))
    case.check("kpmse", values)
    case.check("kpmse_sum", values.sum())
    case.check("kpmse_mean", values.mean())
    (gradient,) = torch.autograd.grad((values * torch.arange(1, values.numel() + 1).view(values.shape)).sum(), seen)
    case.check("kpmse_grad", gradient)
    cost = keypoint_cost(seen, torch.cat([target, confidence[..., None]], -1), case.scalar("sigma"))
    torch.testing.assert_close(cost, values.sum((1, 2)))
