"""The supervised losses of the regressor (PARE, section 4; 3DNBF, section 3.4), each by name and already weighted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import roma
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nbf_core.contracts import BodyModel
from nbf_core.conventions import PELVIS
from nbf_core.geometry.camera import central_ray_rotation, weak_to_translation
from nbf_core.types import BodyParams, RegressorOutput, Sample
from nbf_core.types.sample import OCCLUDER, UNKNOWN
from nbf_core.types.tree import TensorRecord
from nbf_regressors.config import LossWeights
from nbf_regressors.processes import mean_over_processes

REGRESSED = "h36m-17"
"""The keypoint set that annotated 3D joints are of."""

_IGNORED = -100
Record = TypeVar("Record", bound=TensorRecord)


@dataclass(frozen=True)
class _Known:
    """Who has which labels: true ``bodies``; 3D ``joints`` and no body; bodies whose 2D keypoints are ``projected``.

    ``confidence`` is how much annotated keypoints count; None where nobody's do. ``part_map`` has what could be drawn.
    """

    bodies: Bool[Tensor, "b"]
    joints: Bool[Tensor, "b"]
    projected: Bool[Tensor, "b"]
    confidence: Float[Tensor, "b 25"] | None
    part_map: Int[Tensor, "b h w"] | None

    @classmethod
    def of(cls, output: RegressorOutput, sample: Sample, body: BodyModel, weights: LossWeights) -> _Known:
        """What a batch knows."""
        nobody = torch.zeros(len(output.betas), dtype=torch.bool, device=output.betas.device)
        bodies = nobody if sample.params is None else ~nobody
        bodies = bodies if sample.with_params is None else sample.with_params
        joints, projected, confidence = nobody, bodies, None
        if sample.joints is not None and REGRESSED in body.spec.keypoint_weights:
            joints = ~bodies & (sample.joints[..., 3] > 0).any(1)
        if sample.keypoints is not None and weights.targets == "annotations":
            projected, confidence = nobody, sample.keypoints[..., 2]
        elif sample.keypoints is not None and not bodies.all():
            confidence = torch.where(bodies[:, None], 0, sample.keypoints[..., 2])
        part_map = _part_map(sample, body, weights, bodies, tuple(output.parts.shape[-2:]))
        return cls(bodies, joints, projected, confidence, part_map)

    def totals(self, background: float, joints: int) -> tuple[Float[Tensor, ""], ...]:
        """What means divide by: bodies, people with 3D joints, 2D keypoints, weights of pixels.

        A projected body has ``joints`` keypoints. With several processes each gets their mean.
        """
        own = torch.zeros(5, dtype=torch.long, device=self.bodies.device)
        own[0], own[1] = self.bodies.sum(), (self.bodies | self.joints).sum()
        own[2] = self.projected.sum() * joints
        if self.confidence is not None:
            own[2] += (self.confidence > 0).sum()
        if self.part_map is not None:
            own[3] = (self.part_map >= 0).sum()
            own[4] = (self.part_map != UNKNOWN).sum() - own[3]
        bodies, people, points, parts, others = mean_over_processes(own.float())
        return bodies, people, points, parts + background * others


def supervised_losses(
    output: RegressorOutput, sample: Sample, body: BodyModel, weights: LossWeights
) -> dict[str, Float[Tensor, ""]]:
    """All terms that the sample's labels allow, each over the people who have its label; unlabelled parts are drawn.

    True bodies give joints, rotations and shape; people with 3D joints alone (``joints``) count in ``keypoints_3d``,
    those with annotated keypoints alone in ``keypoints_2d``. Where torch.distributed runs several processes this is
    collective, whatever each one's labels are: means are taken over the joined batch.
    """
    known = _Known.of(output, sample, body, weights)
    bodies, people, points, pixels = known.totals(weights.background, len(body.spec.parents))
    terms = {"camera_prior": weights.camera_prior * camera_prior(_full(output.weak_camera)).mean()}
    flat, deep = [], []
    if known.bodies.any():
        errors = _body_errors(_only(output, known.bodies), _only(sample, known.bodies), body)
        deep.append(errors.joints.square().sum(-1).mean(1))
        terms["rotations"] = weights.rotations * errors.rotations.square().mean((1, 2, 3)).sum() / bodies
        terms["shape"] = weights.shape * errors.shape.square().mean(1).sum() / bodies
        if known.projected.any():
            seen = torch.ones_like(errors.pixels[..., 0])
            flat.append(keypoint_loss(errors.pixels, seen, weights.huber, points))
    if known.confidence is not None or known.joints.any():
        posed = _posed(output, sample, body)
    if known.joints.any():
        deep.append(_joint_errors(posed(REGRESSED), sample.joints)[known.joints])
    if known.confidence is not None:
        seen = sample.camera.project(posed("openpose-25") + _translation(output, sample)[:, None])
        error = (seen - sample.keypoints[..., :2]) / (sample.camera.size[1] / 2)
        flat.append(keypoint_loss(error, known.confidence, weights.huber, points))
    if deep:
        terms["keypoints_3d"] = weights.keypoints_3d * torch.cat(deep).sum() / people
    if flat:
        terms["keypoints_2d"] = weights.keypoints_2d * sum(flat)
    if known.part_map is not None:
        terms["parts"] = weights.parts * part_loss(output.parts, known.part_map, weights.background, pixels)
    return {name: weights.total * value for name, value in terms.items()}


def _part_map(
    sample: Sample, body: BodyModel, weights: LossWeights, bodies: Bool[Tensor, "b"], size: tuple[int, int]
) -> Int[Tensor, "b h w"] | None:
    """The part labels, drawn for true bodies that bring none; ``UNKNOWN`` where there is no body either."""
    labels = sample.part_map
    lacking = bodies if labels is None else bodies & (labels == UNKNOWN).flatten(1).all(1)
    if weights.parts <= 0 or not lacking.any():
        return labels
    from nbf_regressors.parts import render_parts  # numba is slow to import and seldom needed

    drawn = render_parts(body, sample.params[lacking], sample.camera[lacking], size)
    if drawn is None:
        return labels
    if sample.occluded is not None and sample.occluded.shape[-2:] == drawn.shape[-2:]:
        drawn = torch.where(sample.occluded[lacking], OCCLUDER, drawn)
    labels = drawn.new_full((len(bodies), *size), UNKNOWN) if labels is None else labels.clone()
    labels[lacking] = drawn.to(labels)
    return labels


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

    ``total`` is what the weighted sum is divided by: this batch's sum of weights where none is given. Pixels labelled
    ``UNKNOWN`` do not count.
    """
    last = logits.shape[1] - 1
    target = torch.where(part_map < 0, last, part_map.long())
    target = torch.where(part_map == UNKNOWN, _IGNORED, target)
    logits = _full(logits)
    weight = logits.new_ones(last + 1)
    weight[last] = background
    if total is None:
        return F.cross_entropy(logits, target, weight=weight, ignore_index=_IGNORED)
    summed = F.cross_entropy(logits, target, weight=weight, reduction="sum", ignore_index=_IGNORED)
    return summed / total.clamp_min(1e-6)


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


@dataclass(frozen=True)
class _Errors:
    """The estimate less the truth: joints (metres, about the root), rotation matrices, shape, joints in the image."""

    joints: Float[Tensor, "b n 3"]
    rotations: Float[Tensor, "b J 3 3"]
    shape: Float[Tensor, "b shapes"]
    pixels: Float[Tensor, "b n 2"]


def _body_errors(output: RegressorOutput, sample: Sample, body: BodyModel) -> _Errors:
    """Against true bodies; ``pixels`` are all joints in the image, hidden ones too, in half sides of it."""
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
    seen = camera.project(joints + _translation(output, sample)[:, None]) - camera.project(target)
    return _Errors(
        # Where the person stands is the camera's business: in 3D both are compared with the root at the origin.
        joints=(joints - joints[:, :1]) - (target - target[:, :1]),
        rotations=rotations - relative,
        shape=output.betas - params.betas,
        pixels=seen / (camera.size[1] / 2),
    )


def _posed(output: RegressorOutput, sample: Sample, body: BodyModel) -> Callable[[str], Float[Tensor, "b n 3"]]:
    """The keypoint sets of the estimated bodies in the camera's axes, untranslated, by name."""
    rotations = _full(output.rotations)
    still = _at_rest(_full(output.betas))
    # The root is turned here, by its matrix; the other joints stay well below half turns.
    pose = roma.rotmat_to_rotvec(rotations[:, 1:])
    posed = body(BodyParams(still.global_orient, pose, still.betas, still.transl), vertices=False)
    root, turn = posed.joints[:, :1], central_ray_rotation(sample.camera) @ rotations[:, 0]
    return lambda name: (body.keypoints(posed, name) - root) @ turn.mT + root


def _joint_errors(points: Float[Tensor, "b 17 3"], joints: Float[Tensor, "b 17 4"]) -> Float[Tensor, "b"]:
    """Mean squared distance of the known joints, weighted by confidence; both about the pelvis.

    About the middle of the known joints where the pelvis is not among them.
    """
    weight = joints[..., 3:].clamp_min(0)
    known = weight > 0
    center = torch.where(known[:, PELVIS : PELVIS + 1], F.one_hot(torch.tensor(PELVIS), 17).to(weight)[:, None], weight)
    center = center / center.sum(1, keepdim=True).clamp_min(1e-6)
    error = torch.where(known, points - joints[..., :3], 0)
    error = error - (center * error).sum(1, keepdim=True)
    return (weight * error.square()).sum((1, 2)) / weight.sum((1, 2)).clamp_min(1e-6)


def _translation(output: RegressorOutput, sample: Sample) -> Float[Tensor, "b 3"]:
    return weak_to_translation(_full(output.weak_camera), sample.camera)


def _only(record: Record, rows: Bool[Tensor, "b"]) -> Record:
    """The people of a record whom ``rows`` marks."""
    return record if rows.all() else record[rows]


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
