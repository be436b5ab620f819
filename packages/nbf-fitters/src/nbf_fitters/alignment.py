"""Rigid alignment of a posed body to 2D keypoints: closed form for translation alone."""

from __future__ import annotations

import roma
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_core.types import Camera

MIN_POINTS = 4


def align_translation(
    points: Float[Tensor, "b n 3"],
    transl: Float[Tensor, "b 3"],
    keypoints: Float[Tensor, "b n 3"],
    camera: Camera,
) -> Float[Tensor, "b 3"]:
    """The translation that brings ``points`` (posed with ``transl``) onto the keypoints, by least squares.

    Each keypoint gives two equations that are linear in the translation. Where fewer than four keypoints
    count, or the answer is not in front of the camera, ``transl`` is returned.
    """
    local = points - transl[:, None]
    ray = (keypoints[..., :2] - camera.center[:, None]) / camera.focal[:, None]
    weight = keypoints[..., 2].clamp_min(0)
    # x + tx = u (z + tz) and the same for y, in normalised image coordinates.
    one, zero = torch.ones_like(weight), torch.zeros_like(weight)
    rows_x = torch.stack([one, zero, -ray[..., 0]], dim=-1)
    rows_y = torch.stack([zero, one, -ray[..., 1]], dim=-1)
    right = ray * local[..., 2:] - local[..., :2]
    rows = torch.cat([rows_x, rows_y], dim=1)
    right = torch.cat([right[..., 0], right[..., 1]], dim=1)
    weight = torch.cat([weight, weight], dim=1)[..., None]
    normal = rows.mT @ (weight * rows)
    scale = normal.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    eye = torch.eye(3, dtype=rows.dtype, device=rows.device)
    normal = normal + (1e-9 * scale + 1e-30) * eye
    solution = _solve(normal, (rows.mT @ (weight * right[..., None]))[..., 0])
    nearest = (local[..., 2] + solution[..., 2:]).amin(-1)
    good = (keypoints[..., 2] > 0).sum(-1) >= MIN_POINTS
    good &= solution.isfinite().all(-1) & (nearest > 0)
    return torch.where(good[:, None], solution, transl)


def align_rigid(
    points: Float[Tensor, "b n 3"],
    root: Float[Tensor, "b 3"],
    keypoints: Float[Tensor, "b n 3"],
    camera: Camera,
    scale: float,
    steps: int = 12,
) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 3"], Float[Tensor, "b"]]:
    """Turn ``points`` about ``root`` and move them onto the keypoints, by Levenberg-Marquardt.

    Returns the turn (axis-angle, to compose from the left), the new root, and the cost: the robust
    (Geman-McClure, ``scale`` in map pixels) squared distance, weighted by confidence.
    """
    local = points - root[:, None]
    turn, place = torch.zeros_like(root), root.clone()
    damping = torch.full_like(root[:, 0], 1e-2)
    cost = _cost(local, turn, place, keypoints, camera, scale)
    for _ in range(steps):
        step = _step(local, turn, place, keypoints, camera, scale, damping)
        new_turn = roma.rotvec_composition([step[:, :3], turn])
        new_place = place + step[:, 3:]
        new_cost = _cost(local, new_turn, new_place, keypoints, camera, scale)
        better = new_cost < cost
        turn, place = _pick(better, new_turn, turn), _pick(better, new_place, place)
        cost = torch.where(better, new_cost, cost)
        damping = torch.where(better, damping * 0.3, damping * 5).clamp(1e-6, 1e6)
    return turn, place, cost


def _pick(where: Bool[Tensor, "b"], yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(where[:, None], yes, no)


def _residual(local, turn, place, keypoints, camera):
    turned = (roma.rotvec_to_rotmat(turn) @ local.mT).mT
    return turned, camera.project(turned + place[:, None]) - keypoints[..., :2]


def _cost(local, turn, place, keypoints, camera, scale) -> Float[Tensor, "b"]:
    turned, residual = _residual(local, turn, place, keypoints, camera)
    square = residual.square().sum(-1)
    robust = scale**2 * square / (scale**2 + square)
    cost = (keypoints[..., 2] * robust).sum(-1) / (keypoints[..., 2].sum(-1) + 1e-8)
    behind = ((turned + place[:, None])[..., 2] <= 1e-3).any(-1)
    return torch.where(behind, torch.inf, cost)


def _step(local, turn, place, keypoints, camera, scale, damping) -> Float[Tensor, "b 6"]:
    turned, residual = _residual(local, turn, place, keypoints, camera)
    position = turned + place[:, None]
    depth = position[..., 2:].clamp_min(1e-3)
    flow = torch.zeros(*position.shape[:-1], 2, 3, dtype=position.dtype, device=position.device)
    flow[..., [0, 1], [0, 1]] = camera.focal[:, None] / depth
    flow[..., 2] = -camera.focal[:, None] * position[..., :2] / depth**2
    # Turning by w moves a point p by w x p = -[p]_x w.
    jacobian = torch.cat([-flow @ _cross(turned), flow], dim=-1)
    square = residual.square().sum(-1)
    weight = keypoints[..., 2] * (scale**2 / (scale**2 + square)) ** 2
    rows = jacobian.flatten(1, 2)
    weighted = rows * weight.repeat_interleave(2, dim=1)[..., None]
    normal = weighted.mT @ rows
    right = (weighted.mT @ residual.flatten(1)[..., None])[..., 0]
    diagonal = normal.diagonal(dim1=-2, dim2=-1)
    normal = normal + torch.diag_embed(diagonal * damping[:, None] + 1e-6)
    return -torch.nan_to_num(_solve(normal, right))


def _cross(vector: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def _solve(matrix: Float[Tensor, "b n n"], right: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    """Solve without raising: a singular system of one person gives numbers that the caller rejects."""
    return torch.linalg.solve_ex(matrix, right[..., None]).result[..., 0]
