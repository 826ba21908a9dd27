"""The cost of a question, and sums of costs of which some may be unknown."""

from __future__ import annotations

from collections.abc import Iterable

from engram_eval.metrics.measure import Measure
from engram_eval.tables.numbers import dollars

COST_USD = Measure(
    "cost_usd", "$", lambda record: record.cost_usd, dollars, "low", summary=None, unit="dollars", gate="difference"
)
"""Retrieval and answer, as if nothing had been cached."""


def sum_or_none(amounts: Iterable[float | None]) -> float | None:
    """The sum in US dollars; None if one of them is unknown."""
    total = 0.0
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total
