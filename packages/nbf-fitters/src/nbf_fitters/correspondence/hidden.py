"""What the picture says of limbs that it does not show: unless something is before them, they are in the outline."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_fitters.correspondence.records import Points, Problem, State
from nbf_fitters.correspondence.reference import flat, pose, posed

JOINTS = tuple(
    f"{side}_{name}" for name in ("elbow", "wrist", "hand", "knee", "ankle", "foot") for side in ("left", "right")
)
"""Joints at the ends of limb parts: a part that is not seen leaves them unseen."""

SEEN = 1.5
"""So many pixels of the parts that meet in a joint, weighed by how well they agree with the fit, show it."""

AGREES = 2.0
"""Geman-McClure scale of that agreement, in pixels of a map of 80."""

OUTSIDE = 1.6
"""A joint is outside where the nearest pixel that shows the body is further away, in pixels of a map of 80."""

OCCLUDED = 0.25
"""Where this share of all joints is outside, something stands before the person, and the outline means nothing."""


def unseen(problem: Problem, joints: tuple[int, ...], off: Float[Tensor, "b n"]) -> Bool[Tensor, "b h"]:
    """Of which ``joints`` neither their own part nor the parts beside it are seen.

    ``off`` is how far pixels are from where the fit puts what they show, in pixels of a map of 80.
    """
    seen, parents = problem.evidence, problem.body.parents
    agrees = torch.where(seen.trust > 0, (1 + (off / AGREES).square()) ** -2, 0)
    own = torch.zeros_like(seen.weights[:, 0]).scatter_add_(1, seen.weights.argmax(-1), agrees)
    below = torch.zeros_like(own).index_add_(1, parents.clamp_min(0)[1:], own[:, 1:])
    around = own + below + own[:, parents.clamp_min(0)]
    return around[:, list(joints)] < SEEN


def outlined(
    problem: Problem, state: State, joints: tuple[int, ...], weight: float, pixel: float
) -> tuple[Points, Bool[Tensor, "b"]]:
    """Keypoints for unseen ``joints`` that are outside, at the nearest pixel of the body; and who has any.

    The last keypoints of the problem are those joints: what they were before is replaced. ``weight`` is 1 / px^2 of a
    map of 80, lowered where joints are outside in number; ``pixel`` is the size of a pixel of this map in those.
    """
    seen, index = problem.evidence, list(joints)
    world = pose(problem.body, state)
    rest = seen.rest + torch.einsum("bnds,bs->bnd", seen.directions, state.betas)
    shown = flat(problem.camera, posed(world, rest, seen.weights))
    away = unseen(problem, joints, pixel * (shown - seen.place).norm(dim=-1))
    distance = pixel * torch.cdist(flat(problem.camera, world.place), seen.place)
    near, nearest = distance.masked_fill(seen.trust[:, None] <= 0, torch.inf).min(-1)
    gate = (1 - (near > OUTSIDE).double().mean(-1) / OCCLUDED).clamp_min(0).square()
    pulled = away & (near > OUTSIDE)[:, index] & near.isfinite()[:, index]
    trust = weight * pixel**2 * gate[:, None] * pulled
    target = seen.place.gather(1, nearest[:, index, None].expand(-1, -1, 2))
    points, given = problem.points, problem.points.trust.shape[1] - len(index)
    points = points._replace(
        place=torch.cat([points.place[:, :given], target], dim=1),
        trust=torch.cat([points.trust[:, :given], trust], dim=1),
    )
    return points, (trust > 0).any(-1)
