"""Kendall's τ, compared with scipy's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from engram_eval.metrics.kendall import kendall_tau


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=12))
def test_tau_equals_scipys(scores: list[tuple[int, int]]) -> None:
    first, second = [a for a, _ in scores], [b for _, b in scores]
    expected = scipy_stats.kendalltau(first, second).statistic
    ours = kendall_tau(first, second)
    assert ours is None if math.isnan(expected) else ours == pytest.approx(expected, abs=1e-12)


def test_tau_is_undefined_without_an_order() -> None:
    assert kendall_tau([1.0], [2.0]) is None
    assert kendall_tau([1.0, 1.0], [1.0, 2.0]) is None
