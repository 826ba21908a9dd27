"""Cohen's κ, compared with sklearn's, and its interval, compared with scipy's bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn.metrics import cohen_kappa_score

from engram_eval.metrics.kappa import bootstrap_kappa, cohen_kappa

_VERDICTS = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), min_size=1, max_size=60)


@given(_VERDICTS)
def test_kappa_equals_sklearns(data: list[tuple[bool, bool, int]]) -> None:
    first, second = [a for a, _, _ in data], [b for _, b, _ in data]
    ours = cohen_kappa(first, second)
    if len({*first, *second}) == 1:  # sklearn warns and returns nan
        assert ours is None
    else:
        assert ours == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)


def test_kappa_is_undefined_if_chance_alone_makes_the_judges_agree() -> None:
    assert cohen_kappa([], []) is None
    assert cohen_kappa([True] * 3, [True] * 3) is None
    assert bootstrap_kappa([True] * 3, [True] * 3, "abc", seed=0) is None
    assert cohen_kappa([True] * 3, [False] * 3) == 0
    assert cohen_kappa([True, False], [True, True]) == 0
    assert cohen_kappa([True, False], [False, True]) == -1


def test_the_interval_agrees_with_scipys_bootstrap() -> None:
    rng = np.random.default_rng(2)
    first = rng.random(400) < 0.7
    second = np.where(rng.random(400) < 0.85, first, ~first)
    ours = bootstrap_kappa(first.tolist(), second.tolist(), list(range(400)), seed=3)
    reference = scipy_stats.bootstrap(
        (first, second), cohen_kappa_score, paired=True, vectorized=False, method="percentile", n_resamples=800, rng=4
    ).confidence_interval
    assert ours == pytest.approx(tuple(reference), abs=0.03)


@settings(max_examples=50)
@given(_VERDICTS)
def test_the_interval_contains_kappa_and_has_a_width(data: list[tuple[bool, bool, int]]) -> None:
    first, second, clusters = [a for a, _, _ in data], [b for _, b, _ in data], [k for _, _, k in data]
    kappa = cohen_kappa(first, second)
    interval = bootstrap_kappa(first, second, clusters, seed=0, resamples=100)
    assert (interval is None) == (kappa is None)
    if interval and kappa is not None:
        assert -1 <= interval[0] <= kappa + 1e-12 and kappa - 1e-12 <= interval[1] <= 1
        assert interval[0] < interval[1]


def test_clusters_that_differ_widen_the_interval() -> None:
    first = [True, False] * 100
    second = [True, False] * 50 + [False, True] * 50
    apart = bootstrap_kappa(first, second, list(range(200)), seed=0)
    together = bootstrap_kappa(first, second, [i // 50 for i in range(200)], seed=0)
    assert apart and together
    assert together[1] - together[0] > 2 * (apart[1] - apart[0])
