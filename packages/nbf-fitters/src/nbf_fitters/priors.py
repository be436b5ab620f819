"""Priors: how unlikely a pose or a shape is, before seeing the image."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nbf_core.errors import AssetError, ShapeError
from nbf_core.types import BodyParams
from nbf_fitters.config import GaussianPoseConfig, JointAngleConfig, ShapeConfig

POSE_GAUSSIAN = Path(__file__).parent / "data" / "pose_gaussian.npz"
"""Mean and covariance of real poses, shipped with the package."""


class GaussianPosePrior:
    """Squared Mahalanobis distance of the axis-angle body pose to a Gaussian of real poses.

    A typical pose costs about as many units as the pose has components. Raises AssetError where the file is
    missing, broken or no Gaussian.
    """

    def __init__(self, config: GaussianPoseConfig):
        path = POSE_GAUSSIAN if config.path is None else Path(config.path)
        mean, covariance = _read_gaussian(path)
        covariance = covariance + config.regularisation * np.eye(len(mean))
        try:
            factor = np.linalg.inv(np.linalg.cholesky(covariance))
        except np.linalg.LinAlgError as error:
            raise AssetError(f"{path}: covariance is not positive definite") from error
        self.mean = torch.from_numpy(mean)
        self.factor = torch.from_numpy(factor)

    def __call__(self, params: BodyParams) -> Float[Tensor, "b"]:
        pose = params.body_pose.flatten(-2)
        if pose.shape[-1] != len(self.mean):
            raise ShapeError(
                f"body_pose: the gaussian-pose prior has {len(self.mean)} numbers, the body {pose.shape[-1]}"
            )
        self.mean, self.factor = self.mean.to(pose), self.factor.to(pose)
        return ((pose - self.mean) @ self.factor.mT).square().sum(-1)


def _read_gaussian(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as data:
            mean, covariance = data["mean"].astype(np.float64), data["covariance"].astype(np.float64)
    except KeyError as error:
        raise AssetError(f"{path}: {error.args[0]}") from error
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise AssetError(f"{path}: cannot read the pose Gaussian ({error})") from error
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise AssetError(f"{path}: mean {mean.shape} and covariance {covariance.shape} do not fit")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise AssetError(f"{path}: mean or covariance is not finite")
    return mean, covariance


class JointAnglePrior:
    """Elbows and knees bend one way: ``sum_j exp(stiffness * backward angle_j)``, 4 for straight limbs.

    With SMPL's axes (T-pose, x to the body's left, y up, z forward) flexion is a negative turn about y for
    the left elbow, a positive one for the right, and a positive turn about x for the knees (SMPLify, 2016).
    The published code normalises each axis-angle first, which keeps the axis and drops the angle; here the
    angle counts.
    """

    # Index into the body joints (joint - 1), axis, and the sign that makes bending backwards positive.
    COMPONENTS = ((17, 1, 1.0), (18, 1, -1.0), (3, 0, -1.0), (4, 0, -1.0))
    # Beyond this many radians backwards the cost goes on growing linearly: no overflow from a wild start.
    LIMIT = 2.0

    def __init__(self, config: JointAngleConfig):
        self.stiffness = config.stiffness

    def __call__(self, params: BodyParams) -> Float[Tensor, "b"]:
        pose = params.body_pose
        if pose.shape[-2] < 19:
            raise ShapeError(f"body_pose: the joint-angle prior needs SMPL's elbows, got {tuple(pose.shape)}")
        backward = torch.stack([sign * pose[..., joint, axis] for joint, axis, sign in self.COMPONENTS], dim=-1)
        inside = backward.clamp(max=self.LIMIT)
        cost = torch.exp(self.stiffness * inside)
        slope = self.stiffness * torch.exp(backward.new_tensor(self.stiffness * self.LIMIT))
        return (cost + slope * (backward - inside)).sum(-1)


class ShapePrior:
    """Squared norm of the shape, each component counted from where ``free`` standard deviations end."""

    def __init__(self, config: ShapeConfig):
        self.free = config.free

    def terms(self, params: BodyParams) -> Float[Tensor, "b n"]:
        """The cost of each component."""
        return (params.betas.abs() - self.free).clamp_min(0).square()

    def __call__(self, params: BodyParams) -> Float[Tensor, "b"]:
        return self.terms(params).sum(-1)
