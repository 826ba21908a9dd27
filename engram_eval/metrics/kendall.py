"""Kendall's τ: how far two judges put the same memories in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import sqrt


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Kendall's τ-b of two scores of the same things, from -1 (reversed) to 1 (the same order).

    Source: Kendall, "The treatment of ties in ranking problems", 1945. None if all values of one of them are equal.
    """
    pairs = list(combinations(range(len(first)), 2))
    signs = [(_sign(first[i] - first[j]), _sign(second[i] - second[j])) for i, j in pairs]
    untied_first, untied_second = (sum(pair[k] != 0 for pair in signs) for k in (0, 1))
    if not untied_first or not untied_second:
        return None
    return sum(one * other for one, other in signs) / sqrt(untied_first * untied_second)


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
