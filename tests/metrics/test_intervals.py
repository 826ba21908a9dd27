"""95 % intervals, compared with scipy's and with the coverage that they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from engram_eval.metrics.intervals import bootstrap_mean, bootstrap_proportion, student_t, t_interval, wilson


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_interval_equals_scipys(pair: tuple[int, int]) -> None:
    successes, n = pair
    reference = scipy_stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert wilson(successes, n) == pytest.approx((reference.low, reference.high), abs=1e-9)


def test_a_bootstrap_of_single_questions_agrees_with_scipys() -> None:
    rng = np.random.default_rng(1)
    correct = rng.random(300) < 0.7
    ours = bootstrap_proportion(correct.tolist(), list(range(300)), seed=3)
    reference = scipy_stats.bootstrap((correct.astype(float),), np.mean, method="percentile", n_resamples=5000, rng=4)
    assert ours == pytest.approx(tuple(reference.confidence_interval), abs=0.01)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4)), min_size=1, max_size=40),
    st.integers(0, 3),
)
@settings(max_examples=60)
def test_the_interval_of_shares_equals_a_bootstrap_in_plain_loops(rows: list[tuple[float, int]], seed: int) -> None:
    """Conversation by conversation, from the same draws; never narrower than Wilson's interval of the mean."""
    shares, clusters = [share for share, _ in rows], [cluster for _, cluster in rows]
    low, high = bootstrap_proportion(shares, clusters, seed=seed, resamples=50)
    conversations = [[share for share, cluster in rows if cluster == name] for name in sorted(set(clusters))]
    means = []
    for draw in (
        np.random.default_rng(seed).integers(0, len(conversations), (50, len(conversations)))
        if len(conversations) > 1
        else []
    ):
        drawn = [share for i in draw for share in conversations[i]]
        means.append(sum(drawn) / len(drawn))
    narrowest = wilson(sum(shares), len(shares))
    ends = np.quantile(means, [0.025, 0.975]) if means else narrowest
    assert (low, high) == pytest.approx((min(ends[0], narrowest[0]), max(ends[1], narrowest[1])))
    assert low <= np.mean(shares) + 1e-9
    assert high >= np.mean(shares) - 1e-9


def test_clusters_widen_the_interval_when_they_differ() -> None:
    correct = [True] * 50 + [False] * 50 + [True] * 50 + [False] * 50
    clusters = [i // 50 for i in range(200)]
    apart = bootstrap_proportion(correct, list(range(200)), seed=0)
    together = bootstrap_proportion(correct, clusters, seed=0)
    assert together[1] - together[0] > 2 * (apart[1] - apart[0])


def test_an_interval_of_few_or_unanimous_conversations_is_never_narrower_than_that_of_their_questions() -> None:
    low, high = bootstrap_proportion([False] * 3, ["a", "b", "c"], seed=0)
    assert (low, high) == (0.0, wilson(0, 3)[1])


def test_one_conversation_falls_back_to_wilson() -> None:
    assert bootstrap_proportion([True, False, True], ["a", "a", "a"], seed=0) == wilson(2, 3)


def test_a_95_percent_interval_covers_the_truth_about_95_times_in_100() -> None:
    """200 experiments of 60 conversations, each with its own difficulty: a 95 % interval covers the truth in 181 to 198 of
    200 (binomial, 99.8 %), a percentile bootstrap of clusters in slightly fewer."""
    rng = np.random.default_rng(5)
    covered = 0
    for seed in range(200):
        difficulty = np.clip(rng.normal(0.6, 0.15, 60), 0, 1)
        correct = rng.random((60, 8)) < difficulty[:, None]
        low, high = bootstrap_proportion(
            correct.ravel().tolist(), np.repeat(np.arange(60), 8).tolist(), seed=seed, resamples=500
        )
        covered += low <= 0.6 <= high
    assert 174 <= covered <= 200


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=60), st.integers(0, 9))
def test_an_interval_is_within_0_and_1_and_reproducible(data: list[tuple[bool, int]], seed: int) -> None:
    correct, clusters = [c for c, _ in data], [k for _, k in data]
    low, high = bootstrap_proportion(correct, clusters, seed=seed)
    assert 0 <= low <= high <= 1
    assert bootstrap_proportion(correct, clusters, seed=seed) == (low, high)


def test_a_share_of_no_questions_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_proportion([], [], seed=0)


@given(st.integers(4, 400))
def test_students_quantile_equals_scipys(freedom: int) -> None:
    assert student_t(freedom) == pytest.approx(scipy_stats.t.ppf(0.975, freedom), abs=1e-3)


def test_students_interval_equals_scipys() -> None:
    values = np.random.default_rng(3).normal(size=30)
    reference = scipy_stats.ttest_1samp(values, 0).confidence_interval()
    assert t_interval(values.tolist()) == pytest.approx(tuple(reference), abs=1e-4)
    assert t_interval([1.0]) is None


def test_a_bootstrap_of_the_mean_of_many_values_agrees_with_scipys() -> None:
    values = np.random.default_rng(4).normal(1, 2, 400)
    reference = scipy_stats.bootstrap((values,), np.mean, method="percentile", n_resamples=5000, rng=5)
    ours = bootstrap_mean(values.tolist(), list(range(400)), seed=6)
    assert ours == pytest.approx(tuple(reference.confidence_interval), abs=0.04)
    assert bootstrap_mean([1.0, 2.0], ["a", "a"], seed=0) is None
    assert bootstrap_mean([], [], seed=0) is None
    assert bootstrap_mean([0.0] * 6, list("abcabc"), seed=0) == (0.0, 0.0)


@pytest.mark.parametrize("conversations", [6, 10])
def test_a_bootstrap_of_few_conversations_covers_the_truth(conversations: int) -> None:
    """400 experiments in which each conversation has its own difference: 95 % is 367 to 392 of them (99.8 %)."""
    rng = np.random.default_rng(8)
    covered = 0
    clusters = np.repeat(np.arange(conversations), 20).tolist()
    for seed in range(400):
        values = rng.normal(0, 1, (conversations, 1)) + rng.normal(0, 2, (conversations, 20))
        interval = bootstrap_mean(values.ravel().tolist(), clusters, seed=seed, resamples=1000)
        assert interval
        covered += interval[0] <= 0 <= interval[1]
    assert 364 <= covered <= 396
