"""From values per person to means, medians and bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
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
    values: dict[int, float], reference: dict[int, float], lower: bool, options: tuple[float, int, int]
) -> dict[str, Any]:
    """The paired difference to ``reference`` over the samples that both have, by sample index.

    ``better`` is the share of people for whom the value improved, given whether ``lower`` is better.
    ``options``: confidence, resamples, seed.
    """
    shared = [index for index in values if index in reference]
    difference = np.array([values[index] - reference[index] for index in shared], float)
    known = difference[np.isfinite(difference)]
    result = summarise(difference.tolist(), *options)
    improved = known < 0 if lower else known > 0
    return result | {"better": float(improved.mean()) if len(known) else None}
