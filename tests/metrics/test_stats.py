"""Intervals, held against scipy and against their own promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn.metrics import cohen_kappa_score

from engram_eval.metrics.stats import (
    bootstrap_kappa,
    bootstrap_mean,
    bootstrap_proportion,
    cohen_kappa,
    detectable_difference,
    holm,
    mcnemar,
    newcombe,
    student_t,
    t_interval,
    wilson,
)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_scipys(pair: tuple[int, int]) -> None:
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
def test_of_shares_the_interval_is_that_of_a_bootstrap_written_out(rows: list[tuple[float, int]], seed: int) -> None:
    """Conversation by conversation, in loops, from the same draws; never narrower than Wilson's of the mean."""
    shares, clusters = [share for share, _ in rows], [cluster for _, cluster in rows]
    low, high = bootstrap_proportion(shares, clusters, seed=seed, resamples=50)
    of = [[share for share, cluster in rows if cluster == name] for name in sorted(set(clusters))]
    means = []
    for draw in np.random.default_rng(seed).integers(0, len(of), (50, len(of))) if len(of) > 1 else []:
        drawn = [share for i in draw for share in of[i]]
        means.append(sum(drawn) / len(drawn))
    least = wilson(sum(shares), len(shares))
    ends = np.quantile(means, [0.025, 0.975]) if means else least
    assert (low, high) == pytest.approx((min(ends[0], least[0]), max(ends[1], least[1])))
    assert low <= np.mean(shares) + 1e-9
    assert high >= np.mean(shares) - 1e-9


def test_clusters_widen_the_interval_when_they_differ() -> None:
    correct = [True] * 50 + [False] * 50 + [True] * 50 + [False] * 50
    clusters = [i // 50 for i in range(200)]
    apart = bootstrap_proportion(correct, list(range(200)), seed=0)
    together = bootstrap_proportion(correct, clusters, seed=0)
    assert together[1] - together[0] > 2 * (apart[1] - apart[0])


def test_few_or_unanimous_conversations_are_never_surer_than_their_questions() -> None:
    low, high = bootstrap_proportion([False] * 3, ["a", "b", "c"], seed=0)
    assert (low, high) == (0.0, wilson(0, 3)[1])


def test_one_conversation_falls_back_to_wilson() -> None:
    assert bootstrap_proportion([True, False, True], ["a", "a", "a"], seed=0) == wilson(2, 3)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """200 experiments of 60 conversations with their own difficulty: a 95 % interval of 200 covers 181 to 198 of them
    (binomial, 99.8 %), a percentile bootstrap of clusters somewhat fewer."""
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


def test_no_questions_have_no_share() -> None:
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_proportion([], [], seed=0)


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


@settings(max_examples=50)
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


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_equals_scipys_binomial_test(only_one: int, only_other: int) -> None:
    reference = scipy_stats.binomtest(only_one, only_one + only_other).pvalue if only_one + only_other else 1.0
    assert mcnemar(only_one, only_other) == pytest.approx(reference, rel=1e-9)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_equals_its_definition(p_values: list[float]) -> None:
    """The smallest p times m, the next times m - 1 and so on; none below that of a smaller p, none above 1."""
    adjusted = holm(p_values)
    for i, p in enumerate(p_values):
        steps = [(len(p_values) - sum((r, k) < (q, j) for k, r in enumerate(p_values))) * q
                 for j, q in enumerate(p_values) if (q, j) <= (p, i)]  # fmt: skip
        assert adjusted[i] == pytest.approx(min(1.0, max(steps)))


def test_holm_of_the_textbook() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.integers(10, 3000), st.floats(0.001, 1))
def test_the_detectable_difference_solves_its_formula(n: int, discordant: float) -> None:
    found = detectable_difference(n, discordant)
    assert found is not None
    psi = max(discordant, found)
    z95, z80 = scipy_stats.norm.ppf(0.975), scipy_stats.norm.ppf(0.8)
    assert n * found**2 == pytest.approx((z95 * psi**0.5 + z80 * (psi - found**2) ** 0.5) ** 2, rel=1e-6)


def test_the_detectable_difference_is_found_in_four_of_five_experiments() -> None:
    """The exact test is somewhat shyer than the formula, which is the normal one's."""
    n, discordant = 800, 0.2
    found = detectable_difference(n, discordant)
    assert found is not None
    rng = np.random.default_rng(7)
    drawn = rng.multinomial(n, [(discordant + found) / 2, (discordant - found) / 2, 1 - discordant], 600)
    assert 0.72 <= np.mean([mcnemar(int(b), int(c)) < 0.05 for b, c, _ in drawn]) <= 0.85
    assert detectable_difference(3, 0.5) is None


def test_newcombes_interval_is_the_normal_one_of_many_questions_and_has_a_width_where_none_differs() -> None:
    both, one, other, neither = 30_000, 9_000, 7_000, 54_000
    n = both + one + other + neither
    half = 1.96 * (one + other - (one - other) ** 2 / n) ** 0.5 / n
    difference = (one - other) / n
    assert newcombe(both, one, other, neither) == pytest.approx((difference - half, difference + half), abs=2e-5)
    low, high = newcombe(900, 0, 0, 100)
    assert -0.01 < low < 0 < high < 0.01
    assert newcombe(3, 0, 0, 0) == (wilson(3, 3)[0] - 1, 1 - wilson(3, 3)[0])


@given(st.integers(4, 400))
def test_students_quantile_equals_scipys(freedom: int) -> None:
    assert student_t(freedom) == pytest.approx(scipy_stats.t.ppf(0.975, freedom), abs=1e-3)


def test_students_interval_equals_scipys() -> None:
    values = np.random.default_rng(3).normal(size=30)
    reference = scipy_stats.ttest_1samp(values, 0).confidence_interval()
    assert t_interval(values.tolist()) == pytest.approx(tuple(reference), abs=1e-4)
    assert t_interval([1.0]) is None


def test_a_bootstrap_of_a_mean_of_many_agrees_with_scipys() -> None:
    values = np.random.default_rng(4).normal(1, 2, 400)
    reference = scipy_stats.bootstrap((values,), np.mean, method="percentile", n_resamples=5000, rng=5)
    ours = bootstrap_mean(values.tolist(), list(range(400)), seed=6)
    assert ours == pytest.approx(tuple(reference.confidence_interval), abs=0.04)
    assert bootstrap_mean([1.0, 2.0], ["a", "a"], seed=0) is None
    assert bootstrap_mean([], [], seed=0) is None
    assert bootstrap_mean([0.0] * 6, list("abcabc"), seed=0) == (0.0, 0.0)


@pytest.mark.parametrize("conversations", [6, 10])
def test_a_bootstrap_of_few_conversations_covers_the_truth(conversations: int) -> None:
    """400 experiments in which each conversation has a difference of its own: 95 % is 367 to 392 of them (99.8 %)."""
    rng = np.random.default_rng(8)
    covered = 0
    clusters = np.repeat(np.arange(conversations), 20).tolist()
    for seed in range(400):
        values = rng.normal(0, 1, (conversations, 1)) + rng.normal(0, 2, (conversations, 20))
        interval = bootstrap_mean(values.ravel().tolist(), clusters, seed=seed, resamples=1000)
        assert interval
        covered += interval[0] <= 0 <= interval[1]
    assert 364 <= covered <= 396
