"""Intervals, held against scipy and against their own promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn.metrics import cohen_kappa_score

from engram_eval.stats import bootstrap_kappa, bootstrap_share, cohen_kappa, wilson


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_scipys(pair: tuple[int, int]) -> None:
    successes, n = pair
    reference = scipy_stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert wilson(successes, n) == pytest.approx((reference.low, reference.high), abs=1e-9)


def test_a_bootstrap_of_single_questions_agrees_with_scipys() -> None:
    rng = np.random.default_rng(1)
    correct = rng.random(300) < 0.7
    ours = bootstrap_share(correct.tolist(), list(range(300)), seed=3)
    reference = scipy_stats.bootstrap((correct.astype(float),), np.mean, method="percentile", n_resamples=5000, rng=4)
    assert ours == pytest.approx(tuple(reference.confidence_interval), abs=0.01)


def test_clusters_widen_the_interval_when_they_differ() -> None:
    correct = [True] * 50 + [False] * 50 + [True] * 50 + [False] * 50
    clusters = [i // 50 for i in range(200)]
    apart = bootstrap_share(correct, list(range(200)), seed=0)
    together = bootstrap_share(correct, clusters, seed=0)
    assert together[1] - together[0] > 2 * (apart[1] - apart[0])


def test_few_or_unanimous_conversations_are_never_surer_than_their_questions() -> None:
    low, high = bootstrap_share([False] * 3, ["a", "b", "c"], seed=0)
    assert (low, high) == (0.0, wilson(0, 3)[1])


def test_one_conversation_falls_back_to_wilson() -> None:
    assert bootstrap_share([True, False, True], ["a", "a", "a"], seed=0) == wilson(2, 3)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """200 experiments of 60 conversations with their own difficulty: a 95 % interval of 200 covers 181 to 198 of them
    (binomial, 99.8 %), a percentile bootstrap of clusters somewhat fewer."""
    rng = np.random.default_rng(5)
    covered = 0
    for seed in range(200):
        difficulty = np.clip(rng.normal(0.6, 0.15, 60), 0, 1)
        correct = rng.random((60, 8)) < difficulty[:, None]
        low, high = bootstrap_share(
            correct.ravel().tolist(), np.repeat(np.arange(60), 8).tolist(), seed=seed, resamples=500
        )
        covered += low <= 0.6 <= high
    assert 174 <= covered <= 200


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=60), st.integers(0, 9))
def test_an_interval_is_within_0_and_1_and_reproducible(data: list[tuple[bool, int]], seed: int) -> None:
    correct, clusters = [c for c, _ in data], [k for _, k in data]
    low, high = bootstrap_share(correct, clusters, seed=seed)
    assert 0 <= low <= high <= 1
    assert bootstrap_share(correct, clusters, seed=seed) == (low, high)


def test_no_questions_have_no_share() -> None:
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_share([], [], seed=0)


verdicts = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), min_size=1, max_size=60)


@given(verdicts)
def test_kappa_equals_sklearns(data: list[tuple[bool, bool, int]]) -> None:
    one, other = [a for a, _, _ in data], [b for _, b, _ in data]
    ours = cohen_kappa(one, other)
    if len({*one, *other}) == 1:  # sklearn warns and says nan
        assert ours is None
    else:
        assert ours == pytest.approx(cohen_kappa_score(one, other), abs=1e-12)


def test_kappa_of_judges_that_decide_alike_by_chance_alone() -> None:
    assert cohen_kappa([], []) is None
    assert cohen_kappa([True] * 3, [True] * 3) is None
    assert bootstrap_kappa([True] * 3, [True] * 3, "abc", seed=0) is None
    assert cohen_kappa([True] * 3, [False] * 3) == 0
    assert cohen_kappa([True, False], [True, True]) == 0
    assert cohen_kappa([True, False], [False, True]) == -1


def test_a_bootstrap_of_kappa_agrees_with_scipys() -> None:
    rng = np.random.default_rng(2)
    one = rng.random(400) < 0.7
    other = np.where(rng.random(400) < 0.85, one, ~one)
    ours = bootstrap_kappa(one.tolist(), other.tolist(), list(range(400)), seed=3)
    reference = scipy_stats.bootstrap(
        (one, other), cohen_kappa_score, paired=True, vectorized=False, method="percentile", n_resamples=800, rng=4
    ).confidence_interval
    assert ours == pytest.approx(tuple(reference), abs=0.03)


@settings(max_examples=50, deadline=None)
@given(verdicts)
def test_kappas_interval_holds_kappa_and_has_a_width(data: list[tuple[bool, bool, int]]) -> None:
    one, other, clusters = [a for a, _, _ in data], [b for _, b, _ in data], [k for _, _, k in data]
    kappa = cohen_kappa(one, other)
    interval = bootstrap_kappa(one, other, clusters, seed=0, resamples=100)
    assert (interval is None) == (kappa is None)
    if interval and kappa is not None:
        assert -1 <= interval[0] <= kappa + 1e-12 and kappa - 1e-12 <= interval[1] <= 1
        assert interval[0] < interval[1]


def test_clusters_that_differ_widen_kappas_interval() -> None:
    one = [True, False] * 100
    other = [True, False] * 50 + [False, True] * 50
    apart = bootstrap_kappa(one, other, list(range(200)), seed=0)
    together = bootstrap_kappa(one, other, [i // 50 for i in range(200)], seed=0)
    assert apart and together
    assert together[1] - together[0] > 2 * (apart[1] - apart[0])
