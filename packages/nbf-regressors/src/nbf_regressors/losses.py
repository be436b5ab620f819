"""The supervised losses of the regressor (PARE, section 4), each by name and already weighted."""

from __future__ import annotations

import roma
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from nbf_core.contracts import BodyModel
from nbf_core.geometry.camera import central_ray_rotation, weak_to_translation
from nbf_core.types import BodyParams, RegressorOutput, Sample
from nbf_regressors.config import LossWeights


def supervised_losses(
    output: RegressorOutput, sample: Sample, body: BodyModel, weights: LossWeights
) -> dict[str, Float[Tensor, ""]]:
    """All terms that the sample's labels allow."""
    terms = {"camera_prior": weights.camera_prior * torch.exp(-10 * output.weak_camera[:, 0]).square().mean()}
    if sample.params is not None:
        terms |= _body_losses(output, sample, body, weights)
    if sample.part_map is not None:
        terms["parts"] = weights.parts * part_loss(output.parts, sample.part_map, weights.background)
    return {name: weights.total * value for name, value in terms.items()}


def part_loss(logits: Float[Tensor, "b p h w"], part_map: Int[Tensor, "b h w"], background: float) -> Float[Tensor, ""]:
    """Cross entropy over parts and, as the last class, everything else with weight ``background``."""
    last = logits.shape[1] - 1
    target = torch.where(part_map < 0, last, part_map.long())
    weight = torch.ones(last + 1, device=logits.device)
    weight[last] = background
    return F.cross_entropy(logits.float(), target, weight=weight)


def _body_losses(
    output: RegressorOutput, sample: Sample, body: BodyModel, weights: LossWeights
) -> dict[str, Float[Tensor, ""]]:
    params, camera = sample.params, sample.camera
    ray = central_ray_rotation(camera)
    truth = roma.rotvec_to_rotmat(torch.cat([params.global_orient[:, None], params.body_pose], dim=1))
    relative = torch.cat([(ray.mT @ truth[:, 0])[:, None], truth[:, 1:]], dim=1)
    rotations = output.rotations.float()

    rest = body(_at_rest(output.betas.float()), vertices=False).joints
    turned = torch.cat([(ray @ rotations[:, 0])[:, None], rotations[:, 1:]], dim=1)
    joints = forward_kinematics(turned, rest, body.spec.parents)
    with torch.no_grad():
        target = body(params, vertices=False).joints
    translation = weak_to_translation(output.weak_camera.float(), camera)
    # Where the person stands is the camera's business: in 3D both are compared with the root at the origin.
    error_3d = (joints - joints[:, :1]) - (target - target[:, :1])
    size = camera.size[1] / 2
    seen = (camera.project(joints + translation[:, None]) - camera.project(target)) / size
    return {
        "keypoints_3d": weights.keypoints_3d * error_3d.square().sum(-1).mean(),
        # Weak cameras start far off; beyond a tenth of the crop the error counts linearly.
        "keypoints_2d": weights.keypoints_2d * F.huber_loss(seen, torch.zeros_like(seen), delta=0.1),
        "rotations": weights.rotations * (rotations - relative).square().mean(),
        "shape": weights.shape * (output.betas - params.betas).square().mean(),
    }


def _at_rest(betas: Float[Tensor, "b shapes"]) -> BodyParams:
    neutral = BodyParams.neutral(len(betas), shapes=betas.shape[1], dtype=betas.dtype, device=betas.device)
    return BodyParams(neutral.global_orient, neutral.body_pose, betas, neutral.transl)


def forward_kinematics(
    rotations: Float[Tensor, "b J 3 3"], rest: Float[Tensor, "b n 3"], parents: tuple[int, ...]
) -> Float[Tensor, "b n 3"]:
    """Posed joints from local rotation matrices and rest joints; the root joint stays where it is at rest.

    A body of fewer joints than there are rotations uses the first of them.

    The body model takes axis-angles, whose gradient is poor near half turns, where an upright body in front of
    a camera lies; so the loss walks the tree itself.
    """
    world = [rotations[:, 0]]
    joints = [rest[:, 0]]
    for j in range(1, len(parents)):
        parent = parents[j]
        joints.append(joints[parent] + (world[parent] @ (rest[:, j] - rest[:, parent])[..., None])[..., 0])
        world.append(world[parent] @ rotations[:, j])
    return torch.stack(joints, dim=1)
