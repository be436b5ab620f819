"""Correspondence quality: how often a pixel's best-matching kernel is where the pixel really is on the body.

The gate to watch in training, and what a model's features deserve in a fit.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from nbf_core.contracts import FeatureBank
from nbf_core.errors import ShapeError
from nbf_core.types import BodySpec, Sample

NEAR = 0.10
"""Metres over the rest pose within which a match counts as near."""

MIDLINE = 0.03
"""Pixels whose true kernel is nearer to the body's plane of symmetry (metres) have no side."""

_PIXELS_AT_ONCE = 4096
"""Bounds the similarity matrix: 4096 pixels by 3 x 858 kernels are 42 MB."""


def correspondence_quality(
    features: Float[Tensor, "b c h w"],
    bank: FeatureBank,
    sample: Sample,
    spec: BodySpec,
    stride: int = 2,
    clutter_centers: int = 1,
) -> dict[str, float]:
    """Counts over every ``stride``-th row and column of the maps of a collated batch; empty without labels.

    ``features`` are unit vectors. A pixel's match is the best (kernel, orientation bin) of the bank; it is
    *found* where that match beats all ``clutter_centers`` centres of clutter. Counts: ``body`` visible body
    pixels, of those ``near`` the truth, ``found``, ``found_near``; ``sided`` body pixels off the midline,
    ``correct_side``, ``found_sided``, ``found_correct_side``; ``background`` pixels and ``rejected`` ones,
    ``occluder`` and ``occluder_rejected``; ``distance``, the sum of the distances (m) over body pixels. Raises
    ShapeError where the maps differ in size.
    """
    if sample.kernel_map is None:
        return {}
    if features.shape[-2:] != sample.kernel_map.shape[-2:]:
        got, labels = tuple(features.shape[-2:]), tuple(sample.kernel_map.shape[-2:])
        raise ShapeError(f"features: expected a map of {labels} pixels, as kernel_map, got {got}")
    with torch.no_grad():
        pixels = features[..., ::stride, ::stride].movedim(1, -1).flatten(0, -2).float()
        truth = sample.kernel_map[..., ::stride, ::stride].flatten().to(pixels.device)
        best, margin = _match(pixels, bank, clutter_centers)
        rest = spec.kernel_rest.to(pixels)
        return _count(truth, best, margin > 0, rest)


def _match(pixels: Float[Tensor, "n c"], bank: FeatureBank, clutter_centers: int) -> tuple[Tensor, Tensor]:
    """Each pixel's best kernel, and by how much its similarity beats the best clutter."""
    bins = bank.features.shape[1]
    table = bank.features.detach().to(pixels).flatten(0, 1).T
    clutter = bank.clutter(clutter_centers).detach().to(pixels).T
    kernels, margins = [], []
    for part in pixels.split(_PIXELS_AT_ONCE):
        score, index = (part @ table).max(-1)
        kernels.append(index // bins)
        margins.append(score - (part @ clutter).amax(-1))
    return torch.cat(kernels), torch.cat(margins)


def _count(truth: Tensor, best: Tensor, found: Tensor, rest: Float[Tensor, "k 3"]) -> dict[str, float]:
    body, background, occluder = truth >= 0, truth == -1, truth == -2
    there, here = rest[truth.clamp_min(0)], rest[best]
    distance = (there - here).norm(dim=-1)
    near = body & (distance < NEAR)
    sided = body & (there[:, 0].abs() > MIDLINE)
    correct = sided & (there[:, 0] * here[:, 0] > 0)
    counts = {
        "body": body,
        "near": near,
        "found": body & found,
        "found_near": near & found,
        "sided": sided,
        "correct_side": correct,
        "found_sided": sided & found,
        "found_correct_side": correct & found,
        "background": background,
        "rejected": background & ~found,
        "occluder": occluder,
        "occluder_rejected": occluder & ~found,
    }
    totals = torch.stack([mask.sum() for mask in counts.values()]).tolist()  # one transfer from a GPU
    return dict(zip(counts, map(float, totals), strict=True)) | {"distance": float(distance[body].sum())}


_SHARES = {
    "within_10cm": ("near", "body"),
    "correct_side": ("correct_side", "sided"),
    "found_within_10cm": ("found_near", "found"),
    "found_correct_side": ("found_correct_side", "found_sided"),
    "body_found": ("found", "body"),
    "background_rejected": ("rejected", "background"),
    "occluder_rejected": ("occluder_rejected", "occluder"),
    "mean_distance": ("distance", "body"),
}


class QualityMeter:
    """Adds up the counts of batches."""

    def __init__(self) -> None:
        self.counts: dict[str, float] = {}

    def add(self, counts: Mapping[str, float]) -> None:
        """Add what :func:`correspondence_quality` returned for a batch."""
        for name, value in counts.items():
            self.counts[name] = self.counts.get(name, 0.0) + value

    def result(self) -> dict[str, float | None]:
        """Shares in [0, 1], and the mean distance in metres; None where there was nothing to count.

        ``within_10cm`` and ``correct_side`` are over all visible body pixels (``correct_side``: off the
        midline), ``found_*`` over those of them whose match beats clutter. ``body_found``,
        ``background_rejected`` and ``occluder_rejected`` say how well body and not-body are told apart.
        ``body_pixels`` is what was counted.
        """
        shares = {
            name: self.counts[part] / self.counts[whole] if self.counts.get(whole) else None
            for name, (part, whole) in _SHARES.items()
        }
        return shares | {"body_pixels": self.counts.get("body", 0.0)}
