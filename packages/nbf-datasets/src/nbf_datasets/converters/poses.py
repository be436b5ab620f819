"""Rotations and places of SMPL bodies, from a data set's world into the axes of a camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import roma
import torch


@dataclass(frozen=True)
class Body:
    """SMPL's parameters of n people in the axes of their camera.

    ``pose`` [n, 24, 3] axis-angles, global orientation first; ``betas`` [n, 10]; ``transl`` [n, 3] metres, where known;
    ``known`` [n] bool: who has parameters at all, everybody where it is None.
    """

    pose: np.ndarray
    betas: np.ndarray
    transl: np.ndarray | None = None
    known: np.ndarray | None = None


def turned(rotation: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Poses [n, 24, 3] whose global orientation is turned by ``rotation``, [3, 3] or [n, 3, 3]."""
    first = torch.from_numpy(np.ascontiguousarray(pose[:, 0], np.float64))
    matrices = torch.from_numpy(np.ascontiguousarray(rotation, np.float64)) @ roma.rotvec_to_rotmat(first)
    return np.concatenate([_axis_angles(matrices).numpy()[:, None], pose[:, 1:]], 1)


def from_matrices(matrices: np.ndarray) -> np.ndarray:
    """Rotation matrices [..., 3, 3] as axis-angles [..., 3]; matrices are first made exact rotations."""
    return _axis_angles(torch.from_numpy(np.ascontiguousarray(matrices, np.float64))).numpy()


def moved(rotation: np.ndarray, shift: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points [n, k, 3] in the axes of a camera: ``rotation`` [3, 3] or [n, 3, 3] and ``shift`` [3] or [n, 3]."""
    return points @ np.swapaxes(rotation, -1, -2) + np.asarray(shift).reshape(-1, 1, 3)


def translation(rotation: np.ndarray, shift: np.ndarray, pelvis: np.ndarray, transl: np.ndarray) -> np.ndarray:
    """The translations [n, 3] that SMPL needs in a camera's axes.

    SMPL turns about its pelvis, not about the origin. In the data set's world the pelvis is at ``pelvis`` [n, 3] where
    the body is moved by ``transl`` [n, 3]: their difference, the pelvis of the body at rest, does not turn along.
    """
    rest = pelvis - transl
    return moved(rotation, shift, pelvis[:, None])[:, 0] - rest


def rigid(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation [3, 3] and shift [3] that bring points [n, 3] onto others, by least squares (Kabsch)."""
    rotation, shift = roma.rigid_points_registration(torch.from_numpy(source), torch.from_numpy(target))
    return rotation.numpy(), shift.numpy()


def _axis_angles(matrices: torch.Tensor) -> torch.Tensor:
    return roma.rotmat_to_rotvec(roma.special_procrustes(matrices))
