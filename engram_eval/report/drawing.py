"""What all charts share: from a Vega-Lite spec to SVG, in the page's own colours.

Charts are drawn while the page is made: SVG needs no script, no network and no mouse. Colours are the page's CSS variables,
so a chart follows the page from light to dark and to paper. Each chart is drawn for a wide and for a narrow page, because
a chart that is scaled down cannot be read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import vl_convert

WIDE, NARROW = 470, 270
"""Pixels of the area between the axes."""

_COLOURS = 10

Spec = dict[str, Any]
"""A Vega-Lite spec, or a part of one."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart as SVG, for a wide and for a narrow page.

    - `legend`: CSS classes of colours with their meanings. `numbers`: what is drawn, as a table, its heading first.
    - `shape`: `tall` takes two rows of the page's grid, `broad` two columns.
    """

    title: str
    caption: str
    wide: str
    narrow: str
    numbers: list[list[str]]
    legend: Sequence[tuple[str, str]] = ()
    shape: str = ""


def draw(spec: Callable[[int], Spec], wide: int = WIDE) -> tuple[str, str]:
    """The SVG for a wide and for a narrow page; `spec` makes a spec for a width."""
    return svg(spec(wide)), svg(spec(NARROW))


def colour_class(number: int) -> str:
    """The CSS class of a backend's colour: c0, c1 …, from the first again after the last."""
    return f"c{number % _COLOURS}"


def colour(number: int) -> str:
    """A backend's colour, as a CSS value."""
    return f"var(--{colour_class(number)})"


def approximate(value: float) -> str:
    """1,234, 2.5 or 0.12."""
    return f"{value:,.0f}" if value >= 10 else f"{value:,.1f}" if value >= 1 else f"{value:.2g}"


def finite(*values: float | None) -> bool:
    return all(value is not None and math.isfinite(value) for value in values)


def ticks(low: float, high: float) -> list[float]:
    """For a log axis: 1, 10, 100 …, and more between them where these are few."""
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
    """The chart as SVG. Vega escapes all text in it, and no element has an id that could clash with another's."""
    return vl_convert.vegalite_to_svg({**spec, "config": _CONFIG, "padding": 4}, vl_version="6.1")
