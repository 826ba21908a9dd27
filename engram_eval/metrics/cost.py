"""Sums of money of which a part may be unknown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def sum_or_none(dollars: Iterable[float | None]) -> float | None:
    """The sum, None if one of them is not known."""
    total = 0.0
    for amount in dollars:
        if amount is None:
            return None
        total += amount
    return total
