"""From values per moment and view to means with bootstrap intervals over the moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf_run.crossview.placing import ALIGNMENTS
from nbf_run.crossview.scene import Scene
from nbf_run.crossview.score import Scores, hits, pair_mask

METRICS: dict[str, tuple[str, str, bool]] = {
    **{f"pckh {name}": ("%", f"PCKh in the other views, {name}", False) for name in ALIGNMENTS},
    "pckh own": ("%", "PCKh in the body's own picture", False),
    **{f"distance {name}": ("cm", f"median distance in the other views, {name}", True) for name in ALIGNMENTS},
    "mpjpe": ("mm", "mean distance from the triangulated keypoints, moved", True),
    "pa-mpjpe": ("mm", "the same after the best similarity", True),
    "pa-between": ("mm", "distance of two views' bodies of one moment after the best similarity", True),
    "size": ("%", "length of the body's trunk, of the triangulated one's", False),
}
"""Name: unit, what it is, whether lower is better (of the size neither is)."""

GROUPS = {
    "all": "every picture",
    "sides right": "pictures in which the detector did not take left for right",
}


@dataclass(frozen=True)
class Counted:
    """A metric as a ratio of sums: what each moment adds to the numerator and to the denominator."""

    top: Float[np.ndarray, "m"]
    bottom: Float[np.ndarray, "m"]

    @property
    def mean(self) -> float | None:
        """The value over all moments; None where nothing was counted."""
        return float(self.top.sum() / self.bottom.sum()) if self.bottom.sum() > 0 else None


def counted(scene: Scene, scores: Scores, limit: float, group: str) -> dict[str, Counted]:
    """Every metric that is a mean, over the pictures of a group (medians are not: see :func:`medians`)."""
    use = ~scene.swapped if group == "sides right" else torch.ones_like(scene.swapped)
    elsewhere = ~torch.eye(scene.shape[1], dtype=torch.bool)
    result = {}
    for name, miss in scores.misses.items():
        found, there = hits(miss, limit)
        cross = (use[:, :, None] & elsewhere).double()
        result[f"pckh {name}"] = _ratio(100 * found * cross, there * cross)
        if name == "as-is":
            own = (use[:, :, None] & ~elsewhere).double()
            result["pckh own"] = _ratio(100 * found * own, there * own)
    result["mpjpe"] = _known(scores.mpjpe, use)
    result["pa-mpjpe"] = _known(scores.pa_mpjpe, use)
    pairs = ~pair_mask(~use) & elsewhere
    result["pa-between"] = _known(scores.between, pairs)
    result["size"] = _known(100 * scores.size, use)
    return result


def medians(scene: Scene, scores: Scores, group: str) -> dict[str, float | None]:
    """The median distances in the other views in centimetres."""
    use = ~scene.swapped if group == "sides right" else torch.ones_like(scene.swapped)
    elsewhere = ~torch.eye(scene.shape[1], dtype=torch.bool)
    result = {}
    for name, miss in scores.misses.items():
        values = miss[use[:, :, None] & elsewhere]
        values = values[~values.isnan()]
        result[f"distance {name}"] = float(100 * values.median()) if len(values) else None
    return result


def summarise(
    scene: Scene, scores: Mapping[str, Scores], limit: float, rivals: Sequence[str], options: tuple[float, int, int]
) -> dict[str, dict[str, Any]]:
    """All numbers by method and group: means with intervals, and differences to each of ``rivals`` (``against``).

    ``options``: confidence, resamples, seed. Moments are resampled whole (a view's errors at one moment go together),
    the same ones for every method, so differences are paired.
    """
    confidence, resamples, seed = options
    moments = scene.shape[0]
    picks = np.random.default_rng(seed).integers(0, moments, (resamples, moments))
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    result: dict[str, dict[str, Any]] = {name: {} for name in scores}
    for group in GROUPS:
        bases = {rival: counted(scene, scores[rival], limit, group) for rival in rivals}
        for name, own in scores.items():
            entry: dict[str, Any] = {}
            for metric, value in counted(scene, own, limit, group).items():
                again = _resampled(value, picks)
                entry[metric] = {"mean": value.mean, **_interval(again, tails)}
                entry[metric]["against"] = {
                    rival: {
                        "mean": value.mean - base[metric].mean,
                        **_interval(again - _resampled(base[metric], picks), tails),
                    }
                    for rival, base in bases.items()
                    if rival != name and value.mean is not None and base[metric].mean is not None
                }
            entry |= {metric: {"median": value} for metric, value in medians(scene, own, group).items()}
            result[name][group] = entry
    return result


def matrix(scene: Scene, scores: Scores, limit: float, alignment: str) -> list[list[float | None]]:
    """PCKh in percent: a row for each camera whose picture was fitted, a column for each that judges."""
    found, there = (value.sum(0) for value in hits(scores.misses[alignment], limit))
    return [
        [float(100 * f / t) if t > 0 else None for f, t in zip(row, counts, strict=True)]
        for row, counts in zip(found, there, strict=True)
    ]


def curve(scores: Scores, alignment: str, limits: Float[np.ndarray, "k"]) -> Float[np.ndarray, "k"]:
    """The share of keypoints in the other views that lie within each of some distances (metres), in percent."""
    miss = scores.misses[alignment]
    values = miss[:, ~torch.eye(miss.shape[1], dtype=torch.bool)]
    values = values[~values.isnan()].numpy()
    return 100 * (values[None] <= limits[:, None]).mean(1) if len(values) else np.full(len(limits), np.nan)


def _ratio(top: Float[Tensor, "m *b"], bottom: Float[Tensor, "m *b"]) -> Counted:
    return Counted(top.flatten(1).sum(1).numpy(), bottom.flatten(1).sum(1).numpy())


def _known(values: Float[Tensor, "m *b"], use: Bool[Tensor, "m *b"]) -> Counted:
    counts = use & values.isfinite()
    return _ratio(torch.where(counts, values, 0.0), counts.double())


def _resampled(value: Counted, picks: np.ndarray) -> np.ndarray:
    bottom = value.bottom[picks].sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return value.top[picks].sum(1) / bottom


def _interval(values: np.ndarray, tails: list[float]) -> dict[str, float | None]:
    known = values[np.isfinite(values)]
    if not len(known):
        return {"low": None, "high": None}
    low, high = np.quantile(known, tails)
    return {"low": float(low), "high": float(high)}
