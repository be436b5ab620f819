"""The mean person that regressors start from (``smpl_mean_params.npz``; SPIN, Kolotouros et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import roma
import torch
from jaxtyping import Float
from torch import Tensor

from nbf_core.errors import AssetError
from nbf_core.pickles import read_npz

_SIZES = {"pose": 144, "shape": 10, "cam": 3}


@dataclass(frozen=True)
class MeanPerson:
    """``pose`` [24, 3] axis-angle, the root's first; ``shape`` [10]; ``camera`` (s, tx, ty), weak perspective."""

    pose: Float[Tensor, "24 3"]
    shape: Float[Tensor, "10"]
    camera: Float[Tensor, "3"]


def read_mean_person(path: Path) -> MeanPerson:
    """Read the file. Raises AssetError naming file and key where it is no such file.

    Its pose holds the first two columns of each rotation matrix, row by row.
    """
    found = read_npz(path)
    values = {}
    for key, size in _SIZES.items():
        value = found.get(key)
        if not isinstance(value, np.ndarray) or not np.issubdtype(value.dtype, np.number) or value.size != size:
            raise AssetError(f"{path}: {key}: expected {size} numbers")
        if not np.isfinite(value).all():
            raise AssetError(f"{path}: {key}: holds numbers that are not finite")
        values[key] = torch.from_numpy(value.astype(np.float64).ravel())
    rotations = roma.special_gramschmidt(values["pose"].reshape(24, 3, 2))
    return MeanPerson(roma.rotmat_to_rotvec(rotations), values["shape"], values["cam"])
