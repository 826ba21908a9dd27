"""Formats of numbers in tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Show = Callable[[float], str]


def percent(share: float) -> str:
    """0.4743 as `47.4`."""
    return f"{100 * share:.1f}"


def share(value: float) -> str:
    return f"{value:.3f}"


def whole(value: float) -> str:
    return f"{value:,.0f}"


def one_decimal(value: float) -> str:
    return f"{value:.1f}"


def milliseconds(seconds: float) -> str:
    """With one decimal below a second."""
    return f"{1000 * seconds:,.1f}" if seconds < 1 else f"{1000 * seconds:,.0f}"


def dollars(value: float) -> str:
    """Three significant digits, at least cents: 12.35, 0.104, 0.0000312."""
    if value == 0 or value >= 1:
        return f"{value:,.2f}"
    return f"{value:.{2 - math.floor(math.log10(value))}f}"


def points(value: float) -> str:
    """A difference of shares, in points: 0.019 as `+1.9`."""
    return f"{100 * value:+.1f}"


def signed(show: Show) -> Show:
    """`show` with a sign before it."""
    return lambda value: f"{'-' if value < 0 else '+'}{show(abs(value))}"


def interval(show: Show) -> Callable[[Sequence[float]], str]:
    """`43.9–50.9`."""
    return lambda ends: f"{show(ends[0])}–{show(ends[1])}"


def signed_interval(show: Show) -> Callable[[Sequence[float]], str]:
    """`-6.3 to +0.8`: a dash between signed numbers would read as a minus."""
    return lambda ends: f"{show(ends[0])} to {show(ends[1])}"
