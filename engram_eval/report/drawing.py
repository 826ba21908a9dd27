"""What all charts share: a spec of Vega-Lite in, SVG out, in the page's own colours.

They are drawn once, while the page is made: what opens is SVG, which needs no script, no network and no mouse. Colours are
the page's CSS variables, so that a chart follows the page from light to dark and to paper; each is drawn for a wide page
and for a narrow one, since what is scaled down cannot be read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import vl_convert

WIDE, NARROW = 470, 270  # pixels of the area between the axes
COLOURS = 10


@dataclass(frozen=True, slots=True)
class Chart:
    """`legend`: a colour's class and what it stands for. `numbers`: what is drawn, as a table with its heading first."""

    title: str
    caption: str
    wide: str
    narrow: str
    legend: list[tuple[str, str]]
    numbers: list[list[str]]
    shape: str = ""
    """`tall` or `broad`, beside or above the others."""


def colour(number: int) -> str:
    """The class of a backend, a cause: c0, c1 … again from the first where they run out."""
    return f"c{number % COLOURS}"


def plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:,.1f}" if value >= 1 else f"{value:.2g}"


def finite(*values: float | None) -> bool:
    return all(value is not None and math.isfinite(value) for value in values)


def ticks(low: float, high: float) -> list[float]:
    """1, 10, 100 …, and more between them where these are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    decades = math.log10(high / low)
    steps = (1,) if decades > 3 else (1, 3) if decades > 1.6 else (1, 2, 5) if decades > 0.9 else range(1, 10)
    return [float(f"{step}e{power}") for power in powers for step in steps if low <= float(f"{step}e{power}") <= high]


_CONFIG: Mapping[str, Any] = {
    "background": "transparent",
    "font": "Helvetica, Arial, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)", "titleColor": "var(--muted)", "gridColor": "var(--line)",
        "domainColor": "var(--edge)", "tickColor": "var(--edge)", "labelFontSize": 12, "titleFontSize": 12,
        "titleFontWeight": "normal", "titlePadding": 10, "labelPadding": 6, "labelLimit": 190,
    },
    "axisX": {"grid": True, "tickSize": 4, "labelFlush": False},
    "axisY": {"grid": False, "domain": False},
    "legend": {"disable": True},
    "aria": False,
}  # fmt: skip


def svg(spec: Mapping[str, Any]) -> str:
    """The chart as SVG. All that it says is escaped by Vega, as text; nothing in it has an id that another's could meet."""
    return vl_convert.vegalite_to_svg({**spec, "config": _CONFIG, "padding": 4}, vl_version="6.1")
