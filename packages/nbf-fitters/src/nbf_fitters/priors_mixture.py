"""A mixture of Gaussians over poses (SMPLify, Bogo et al., 2016)."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nbf_core.errors import AssetError, ShapeError
from nbf_core.pickles import read_pickled_arrays
from nbf_core.types import BodyParams
from nbf_fitters.config import MixturePoseConfig

NAMES = ("means", "covars", "weights")


class MixturePosePrior:
    """Negative logarithm of the mixture's likeliest component, over the axis-angle body pose.

    ``min_m |L_m (q - mean_m)|^2 / 2 - log(weight_m) + (d / 2) log 2 pi + log(sqrt(det_m) / min_m sqrt(det_m))``,
    with ``L_m' L_m`` the inverse covariance. Raises AssetError where the file is missing, broken or no mixture.
    """

    def __init__(self, config: MixturePoseConfig):
        path = Path(config.path)
        means, covariances, weights = read_mixture(path)
        try:
            roots = np.linalg.cholesky(covariances + config.regularisation * np.eye(means.shape[1]))
        except np.linalg.LinAlgError as error:
            raise AssetError(f"{path}: covars are not positive definite") from error
        sizes = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(1)
        constants = means.shape[1] / 2 * math.log(2 * math.pi) + sizes - sizes.min() - np.log(weights)
        self.means = torch.from_numpy(means)
        self.factors = torch.from_numpy(np.linalg.inv(roots))
        self.constants = torch.from_numpy(constants)

    def terms(self, params: BodyParams) -> Float[Tensor, "b m"]:
        """What each component makes of each pose."""
        pose = params.body_pose.flatten(-2)
        if pose.shape[-1] != self.means.shape[1]:
            raise ShapeError(
                f"body_pose: the mixture-pose prior has {self.means.shape[1]} numbers, the body {pose.shape[-1]}"
            )
        self.means, self.factors, self.constants = (t.to(pose) for t in (self.means, self.factors, self.constants))
        distance = torch.einsum("mij,bmj->bmi", self.factors, pose[:, None] - self.means).square().sum(-1)
        return 0.5 * distance + self.constants

    def __call__(self, params: BodyParams) -> Float[Tensor, "b"]:
        return self.terms(params).amin(dim=1)


def read_mixture(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``means`` [m, d], ``covars`` [m, d, d] and ``weights`` [m] of a mixture, from an npz or SMPLify's pickle.

    A pickle is read as arrays alone; nothing in it is executed. Raises AssetError naming the file.
    """
    arrays = read_pickled_arrays(path) if path.suffix == ".pkl" else _read_npz(path)
    missing = [name for name in NAMES if name not in arrays]
    if missing:
        raise AssetError(f"{path}: no pose mixture: {', '.join(missing)} missing")
    means, covariances, weights = (np.asarray(arrays[name], dtype=np.float64) for name in NAMES)
    shapes = means.shape, covariances.shape, weights.shape
    if means.ndim != 2 or shapes != (means.shape, (*means.shape, means.shape[1]), means.shape[:1]) or not len(means):
        raise AssetError(f"{path}: means {shapes[0]}, covars {shapes[1]} and weights {shapes[2]} do not fit")
    for name, array in zip(NAMES, (means, covariances, weights), strict=True):
        if not np.isfinite(array).all():
            raise AssetError(f"{path}: {name} are not finite")
    if (weights <= 0).any():
        raise AssetError(f"{path}: weights must be positive")
    return means, covariances, weights


def write_mixture(path: Path, means: np.ndarray, covars: np.ndarray, weights: np.ndarray) -> None:
    """Store a mixture as the npz that ``read_mixture`` reads."""
    np.savez_compressed(path, means=means, covars=covars, weights=weights)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in NAMES if name in data.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise AssetError(f"{path}: cannot read the pose mixture ({error})") from error
