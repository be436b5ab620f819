"""Intervals and tests of paired differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nbf_run.bench.paired import compare, sign_test, summarise, wilcoxon


def test_intervals_hold_the_mean_and_shrink_with_people():
    values = torch.randn(400, generator=torch.Generator().manual_seed(1)).tolist()
    few, many = (summarise(values[:n], 0.95, 500, 0) for n in (25, 400))
    for found in (few, many):
        assert found["low"] < found["mean"] < found["high"]
    assert many["high"] - many["low"] == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert few["high"] - few["low"] > 2 * (many["high"] - many["low"])
    assert summarise(values, 0.95, 500, 0) == summarise(values, 0.95, 500, 0)


def test_values_that_are_no_numbers_are_counted_apart():
    found = summarise([1.0, float("nan"), 3.0], 0.95, 50, 0)
    assert (found["n"], found["nan"], found["mean"]) == (2, 1, 2)
    assert summarise([], 0.95, 50, 0)["mean"] is None


def test_differences_are_paired():
    found = compare({0: 1.0, 1: 5.0, 2: 9.0}, {0: 2.0, 1: 4.0, 3: 0.0}, True, (0.95, 50, 0))
    assert (found["n"], found["mean"], found["better"], found["worse"]) == (2, 0, 0.5, 0.5)
    assert (found["reference"], found["verdict"]) == (3, "unclear")


def test_a_pair_of_which_one_is_no_number_counts_in_neither():
    found = compare({0: float("nan"), 1: 5.0}, {0: 2.0, 1: 4.0}, True, (0.95, 50, 0))
    assert (found["n"], found["nan"], found["reference"]) == (1, 1, 4)
    nothing = compare({}, {0: 2.0}, True, (0.95, 50, 0))
    assert nothing["n"] == 0 and nothing["sign_p"] is None and nothing["verdict"] == "unclear"


@pytest.mark.parametrize(("lower", "verdict"), [(True, "better"), (False, "worse")])
def test_the_verdict_follows_the_interval(lower, verdict):
    found = compare({i: float(i) for i in range(9)}, {i: i + 5.0 + i / 9 for i in range(9)}, lower, (0.95, 200, 0))
    assert found["verdict"] == verdict
    assert found["better"] == (1.0 if lower else 0.0)


def test_the_sign_test_is_that_of_a_fair_coin():
    assert sign_test(np.array([1.0] * 8 + [-1.0] * 2 + [0.0])) == pytest.approx(2 * (1 + 10 + 45) / 1024)
    assert sign_test(np.zeros(3)) is None
    assert sign_test(np.array([1.0, -1.0])) == 1


def test_wilcoxon_is_that_of_the_tables():
    # Of 2^6 choices of ranks 1 to 6 only that of no rank sums to 0, two-sided 2 of 64.
    assert wilcoxon(np.arange(1.0, 7.0)) == pytest.approx(2 / 64)
    assert wilcoxon(np.zeros(4)) is None


def test_wilcoxon_agrees_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for count, method in ((12, "exact"), (20, "exact"), (60, "approx")):
        sample = rng.normal(0.3, 1, count)
        theirs = stats.wilcoxon(sample, method=method, correction=method == "approx").pvalue
        assert wilcoxon(sample) == pytest.approx(theirs, rel=1e-6)
    ties = np.round(rng.normal(0.4, 1, 50), 1)
    theirs = stats.wilcoxon(ties[ties != 0], method="approx", correction=True).pvalue
    assert wilcoxon(ties) == pytest.approx(theirs, rel=1e-6)
