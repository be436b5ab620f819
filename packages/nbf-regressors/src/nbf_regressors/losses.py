"""The supervised losses of the regressor (PARE, section 4; 3DNBF, section 3.4), each by name and already weighted."""

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
from nbf_regressors.processes import mean_over_processes


def supervised_losses(
    output: RegressorOutput, sample: Sample, body: BodyModel, weights: LossWeights
) -> dict[str, Float[Tensor, ""]]:
    """All terms that the sample's labels allow; parts that nobody labelled are drawn from the body.

    Where torch.distributed runs several processes this is collective, whatever each one's labels are: terms that are
    weighted means are taken over the joined batch.
    """
    terms = {"camera_prior": weights.camera_prior * camera_prior(_full(output.weak_camera)).mean()}
    annotated = sample.keypoints is not None and (weights.targets == "annotations" or sample.params is None)
    part_map = sample.part_map
    if part_map is None and sample.params is not None and weights.parts > 0:
        from nbf_regressors.parts import render_parts  # numba is slow to import and seldom needed

        part_map = render_parts(body, sample.params, sample.camera, tuple(output.parts.shape[-2:]))
        if part_map is not None and sample.occluded is not None and sample.occluded.shape == part_map.shape:
            part_map = torch.where(sample.occluded, -2, part_map)
    part_total, seen = _totals(part_map, weights.background, sample.keypoints if annotated else None, output.betas)
    if sample.params is not None:
        terms |= _body_losses(output, sample, body, weights, project=not annotated)
    if annotated:
        terms["keypoints_2d"] = weights.keypoints_2d * _annotation_loss(output, sample, body, weights.huber, seen)
    if part_map is not None:
        terms["parts"] = weights.parts * part_loss(output.parts, part_map, weights.background, part_total)
    return {name: weights.total * value for name, value in terms.items()}


def _totals(
    part_map: Int[Tensor, "b h w"] | None, background: float, keypoints: Tensor | None, like: Tensor
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """What the part and the keypoint loss divide by: weights of all pixels, keypoints seen. On the device of ``like``.

    With several processes each gets their mean.
    """
    own = torch.zeros(3, dtype=torch.long, device=like.device)
    if part_map is not None:
        own[0] = (part_map >= 0).sum()
        own[1] = part_map.numel() - own[0]
    if keypoints is not None:
        own[2] = (keypoints[..., 2] > 0).sum()
    parts, others, seen = mean_over_processes(own.float())
    return parts + background * others, seen


def camera_prior(weak_camera: Float[Tensor, "b 3"]) -> Float[Tensor, "b"]:
    """``exp(-10 s)^2``: costs nothing unless the scale comes near zero or below."""
    return torch.exp(-10 * weak_camera[:, 0]).square()


def part_loss(
    logits: Float[Tensor, "b p h w"],
    part_map: Int[Tensor, "b h w"],
    background: float,
    total: Float[Tensor, ""] | None = None,
) -> Float[Tensor, ""]:
    """Cross entropy over parts and, as the last class, everything else with weight ``background``.

    ``total`` is what the weighted sum is divided by: this batch's sum of weights where none is given.
    """
    last = logits.shape[1] - 1
    target = torch.where(part_map < 0, last, part_map.long())
    logits = _full(logits)
    weight = logits.new_ones(last + 1)
    weight[last] = background
    if total is None:
        return F.cross_entropy(logits, target, weight=weight)
    return F.cross_entropy(logits, target, weight=weight, reduction="sum") / total.clamp_min(1e-6)


def keypoint_loss(
    error: Float[Tensor, "b n d"],
    confidence: Float[Tensor, "b n"],
    huber: float = 0.0,
    total: Float[Tensor, ""] | None = None,
) -> Float[Tensor, ""]:
    """Squared error, a mean over the keypoints of positive ``confidence``, each weighted by it; 0 without any.

    ``total`` is the number of keypoints that the mean is over: those of this batch where none is given.

    Beyond ``huber``, if it is not 0, the error counts linearly, and before it by half. Errors of keypoints
    without confidence may be anything, NaN too.
    """
    seen = confidence > 0
    error = torch.where(seen[..., None], error, 0)
    values = F.huber_loss(error, torch.zeros_like(error), "none", delta=huber) if huber else error.square()
    summed = (confidence.clamp_min(0) * values.mean(-1)).sum()
    return summed / (seen.sum().clamp_min(1) if total is None else total.clamp_min(1e-6))


def _body_losses(
    output: RegressorOutput, sample: Sample, body: BodyModel, weights: LossWeights, project: bool
) -> dict[str, Float[Tensor, ""]]:
    """What the true parameters say; with ``project`` the image positions of all joints, hidden ones too."""
    params, camera = sample.params, sample.camera
    ray = central_ray_rotation(camera)
    truth = roma.rotvec_to_rotmat(torch.cat([params.global_orient[:, None], params.body_pose], dim=1))
    relative = torch.cat([(ray.mT @ truth[:, 0])[:, None], truth[:, 1:]], dim=1)
    rotations = _full(output.rotations)

    rest = body(_at_rest(_full(output.betas)), vertices=False).joints
    turned = torch.cat([(ray @ rotations[:, 0])[:, None], rotations[:, 1:]], dim=1)
    joints = forward_kinematics(turned, rest, body.spec.parents)
    with torch.no_grad():
        target = body(params, vertices=False).joints
    # Where the person stands is the camera's business: in 3D both are compared with the root at the origin.
    error_3d = (joints - joints[:, :1]) - (target - target[:, :1])
    terms = {
        "keypoints_3d": weights.keypoints_3d * error_3d.square().sum(-1).mean(),
        "rotations": weights.rotations * (rotations - relative).square().mean(),
        "shape": weights.shape * (output.betas - params.betas).square().mean(),
    }
    if project:
        translation = weak_to_translation(_full(output.weak_camera), camera)
        seen = camera.project(joints + translation[:, None]) - camera.project(target)
        error = seen / (camera.size[1] / 2)
        terms["keypoints_2d"] = weights.keypoints_2d * keypoint_loss(
            error, torch.ones_like(error[..., 0]), weights.huber
        )
    return terms


def _annotation_loss(
    output: RegressorOutput, sample: Sample, body: BodyModel, huber: float, total: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Annotated OpenPose-25 keypoints against those of the estimated body, in half sides of the image."""
    camera = sample.camera
    rotations = _full(output.rotations)
    still = _at_rest(_full(output.betas))
    # The root is turned here, by its matrix; the other joints stay well below half turns.
    pose = roma.rotmat_to_rotvec(rotations[:, 1:])
    posed = body(BodyParams(still.global_orient, pose, still.betas, still.transl), vertices=False)
    root = posed.joints[:, :1]
    turn = central_ray_rotation(camera) @ rotations[:, 0]
    points = (body.keypoints(posed, "openpose-25") - root) @ turn.mT + root
    points = points + weak_to_translation(_full(output.weak_camera), camera)[:, None]
    xy, confidence = sample.keypoints[..., :2], sample.keypoints[..., 2]
    return keypoint_loss((camera.project(points) - xy) / (camera.size[1] / 2), confidence, huber, total)


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


def _full(value: Tensor) -> Tensor:
    """In float32 where mixed precision left less."""
    return value.to(torch.promote_types(value.dtype, torch.float32))
