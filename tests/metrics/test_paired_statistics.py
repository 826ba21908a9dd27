"""Paired tests: McNemar, Holm, the detectable difference and Newcombe's interval, compared with scipy and their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from engram_eval.metrics.intervals import wilson
from engram_eval.metrics.paired_statistics import detectable_difference, holm, mcnemar, newcombe


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_equals_scipys_binomial_test(only_first: int, only_second: int) -> None:
    reference = scipy_stats.binomtest(only_first, only_first + only_second).pvalue if only_first + only_second else 1.0
    assert mcnemar(only_first, only_second) == pytest.approx(reference, rel=1e-9)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holms_correction_equals_its_definition(p_values: list[float]) -> None:
    """The smallest p times m, the next times m - 1 and so on; never below the one of a smaller p, never above 1."""
    adjusted = holm(p_values)
    for i, p in enumerate(p_values):
        steps = [(len(p_values) - sum((r, k) < (q, j) for k, r in enumerate(p_values))) * q
                 for j, q in enumerate(p_values) if (q, j) <= (p, i)]  # fmt: skip
        assert adjusted[i] == pytest.approx(min(1.0, max(steps)))


def test_holms_correction_of_a_textbook_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.integers(10, 3000), st.floats(0.001, 1))
def test_the_detectable_difference_solves_its_formula(n: int, discordant: float) -> None:
    smallest = detectable_difference(n, discordant)
    assert smallest is not None
    psi = max(discordant, smallest)
    z95, z80 = scipy_stats.norm.ppf(0.975), scipy_stats.norm.ppf(0.8)
    assert n * smallest**2 == pytest.approx((z95 * psi**0.5 + z80 * (psi - smallest**2) ** 0.5) ** 2, rel=1e-6)


def test_the_detectable_difference_is_found_in_four_of_five_experiments() -> None:
    """The exact test detects slightly less than the formula, which is that of the normal approximation."""
    n, discordant = 800, 0.2
    smallest = detectable_difference(n, discordant)
    assert smallest is not None
    rng = np.random.default_rng(7)
    drawn = rng.multinomial(n, [(discordant + smallest) / 2, (discordant - smallest) / 2, 1 - discordant], 600)
    assert 0.72 <= np.mean([mcnemar(int(b), int(c)) < 0.05 for b, c, _ in drawn]) <= 0.85
    assert detectable_difference(3, 0.5) is None


def test_newcombes_interval_nears_the_normal_one_and_has_a_width_even_without_a_difference() -> None:
    both, first, second, neither = 30_000, 9_000, 7_000, 54_000
    n = both + first + second + neither
    half = 1.96 * (first + second - (first - second) ** 2 / n) ** 0.5 / n
    difference = (first - second) / n
    assert newcombe(both, first, second, neither) == pytest.approx((difference - half, difference + half), abs=2e-5)
    low, high = newcombe(900, 0, 0, 100)
    assert -0.01 < low < 0 < high < 0.01
    assert newcombe(3, 0, 0, 0) == (wilson(3, 3)[0] - 1, 1 - wilson(3, 3)[0])
