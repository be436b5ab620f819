"""Are two lists of numbers, person by person, different? Intervals by bootstrap, and two classical tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def interval(values: np.ndarray, confidence: float, resamples: int, seed: int) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean (Efron, 1979); the people are resampled."""
    picks = np.random.default_rng(seed).integers(0, len(values), (resamples, len(values)))
    low, high = np.quantile(values[picks].mean(1), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def summarise(values: Sequence[float], confidence: float, resamples: int, seed: int) -> dict[str, Any]:
    """Mean, median, interval of the mean and n of the values that are numbers; ``nan`` counts the others."""
    array = np.asarray(values, float)
    known = array[np.isfinite(array)]
    missing = len(array) - len(known)
    if not len(known):
        return {"n": 0, "nan": missing, "mean": None, "median": None, "low": None, "high": None}
    low, high = interval(known, confidence, resamples, seed)
    middle = {"mean": float(known.mean()), "median": float(np.median(known))}
    return {"n": len(known), "nan": missing, **middle, "low": low, "high": high}


def compare(
    values: Mapping[int, float], reference: Mapping[int, float], lower: bool, options: tuple[float, int, int]
) -> dict[str, Any]:
    """The paired difference to ``reference`` over the samples that both have, by sample index.

    ``lower`` tells whether lower values are better. ``options``: confidence, resamples, seed. Beside what
    :func:`summarise` gives: ``reference``, the mean there, over the same people; ``relative``, the mean difference as a
    share of it; ``better`` and ``worse``, shares of people; ``sign_p`` and ``wilcoxon_p``, two-sided; ``verdict``:
    "better" or "worse" where the interval leaves out zero, else "unclear".
    """
    shared = [index for index in values if index in reference]
    pairs = np.array([(values[index], reference[index]) for index in shared], float).reshape(-1, 2)
    pairs = pairs[np.isfinite(pairs).all(1)]
    difference = pairs[:, 0] - pairs[:, 1]
    result = summarise(difference.tolist(), *options) | {"nan": len(shared) - len(pairs)}
    base = float(pairs[:, 1].mean()) if len(pairs) else None
    gain = -difference if lower else difference
    return result | {
        "reference": base,
        "relative": result["mean"] / base if base else None,
        "better": float((gain > 0).mean()) if len(gain) else None,
        "worse": float((gain < 0).mean()) if len(gain) else None,
        "sign_p": sign_test(difference),
        "wilcoxon_p": wilcoxon(difference),
        "verdict": _verdict(result, lower),
    }


def sign_test(difference: np.ndarray) -> float | None:
    """How likely as uneven a number of signs is where both are equally likely (two-sided, exact); ties are left out."""
    more, less = int((difference > 0).sum()), int((difference < 0).sum())
    count = more + less
    if not count:
        return None
    tail = sum(math.comb(count, k) for k in range(min(more, less) + 1))
    return min(1.0, 2 * tail / 2**count)


def wilcoxon(difference: np.ndarray) -> float | None:
    """Wilcoxon's signed-rank test (1945), two-sided.

    Zeros are left out, ties share their mean rank. Up to 20 differences without ties the distribution is exact, beyond
    that normal, with correction for ties and for continuity.
    """
    known = difference[difference != 0]
    count = len(known)
    if not count:
        return None
    size = np.abs(known)
    values, inverse, counts = np.unique(size, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = float(ranks[known > 0].sum())
    if count <= 20 and len(values) == count:
        return _exact(count, int(min(positive, count * (count + 1) / 2 - positive)))
    mean = count * (count + 1) / 4
    variance = count * (count + 1) * (2 * count + 1) / 24 - float((counts**3 - counts).sum()) / 48
    away = max(0.0, abs(positive - mean) - 0.5)
    return min(1.0, math.erfc(away / math.sqrt(2 * variance)))


def _exact(count: int, smaller: int) -> float:
    """Twice the share of all choices of ranks 1 to ``count`` whose sum is at most ``smaller``."""
    ways = np.zeros(count * (count + 1) // 2 + 1)
    ways[0] = 1
    for rank in range(1, count + 1):
        ways[rank:] += ways[:-rank].copy()
    return min(1.0, 2 * float(ways[: smaller + 1].sum()) / 2**count)


def _verdict(result: Mapping[str, Any], lower: bool) -> str:
    if result["low"] is None or result["low"] <= 0 <= result["high"]:
        return "unclear"
    return "better" if (result["high"] < 0) == lower else "worse"
