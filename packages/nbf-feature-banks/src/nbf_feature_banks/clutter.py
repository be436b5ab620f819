"""Several centres of the background features: spherical k-means (Dhillon and Modha, 2001)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def spherical_kmeans(
    points: Float[Tensor, "n c"], centers: int, seed: int = 0, starts: int = 4, rounds: int = 50
) -> Float[Tensor, "m c"]:
    """Unit centres of unit ``points``, the ones that serve most points first; a function of points and seed alone.

    From each of ``starts`` starts points and centres are matched in turn until nothing changes; the start whose
    points end up most like their centres wins. Raises ValueError unless there are as many points as centres.
    """
    if not 1 <= centers <= len(points):
        raise ValueError(f"centers: expected 1 to {len(points)}, got {centers}")
    generator = torch.Generator().manual_seed(seed)
    best, most = points[:centers], -torch.inf
    for _ in range(starts):
        center = _refine(points, _spread(points, centers, generator), rounds)
        likeness = float((points @ center.mT).amax(dim=1).mean())
        if likeness > most:
            best, most = center, likeness
    served = torch.bincount((points @ best.mT).argmax(dim=1), minlength=centers)
    return best[served.argsort(descending=True, stable=True)]


def _spread(points: Float[Tensor, "n c"], centers: int, generator: torch.Generator) -> Float[Tensor, "m c"]:
    """Starting centres, far from one another as a rule: k-means++ (Arthur and Vassilvitskii, 2007).

    Of a few candidates at a time the one that serves the rest best stays: small heaps are not passed over.
    """
    draws = torch.rand(centers, 2 + centers.bit_length(), generator=generator).to(points)
    distance = torch.ones_like(points[:, 0])
    chosen = []
    for draw in draws:
        share = distance.cumsum(0)
        candidates = torch.searchsorted(share, draw * share[-1], right=True).clamp_max(len(points) - 1)
        left = torch.minimum(distance, (1 - points[candidates] @ points.mT).clamp_min(1e-12))
        best = int(left.sum(dim=1).argmin())
        distance = left[best]
        chosen.append(points[candidates[best]])
    return torch.stack(chosen)


def _refine(points: Float[Tensor, "n c"], center: Float[Tensor, "m c"], rounds: int) -> Float[Tensor, "m c"]:
    nearest = None
    for _ in range(rounds):
        likeness, match = (points @ center.mT).max(dim=1)
        if nearest is not None and torch.equal(match, nearest):
            break
        nearest = match
        total = torch.zeros_like(center).index_add_(0, match, points)
        idle = torch.bincount(match, minlength=len(center)) == 0
        center = F.normalize(total, dim=-1)
        # A centre that serves nobody moves to whoever is served worst.
        worst = likeness.argsort()[: int(idle.sum())]
        center[idle] = points[worst]
    return center
