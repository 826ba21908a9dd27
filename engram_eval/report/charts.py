"""The charts of the page, and those that are bars and boxes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from engram_eval.compare.rows import BackendRow
from engram_eval.metrics.accuracy import ACCURACY
from engram_eval.metrics.context_tokens import CONTEXT_TOKENS
from engram_eval.metrics.latency import LATENCY_S
from engram_eval.report.data import Backend
from engram_eval.report.drawing import COLOURS, NARROW, WIDE, Chart, colour, plain, svg, ticks
from engram_eval.report.scatter import scatter
from engram_eval.report.text import short
from engram_eval.tables.text import visible


def charts(
    rows: Sequence[BackendRow], backends: Sequence[Backend], categories: Sequence[str], causes: Sequence[str]
) -> list[Chart]:
    """`rows` of the comparison's tables, `backends` in the same order, `categories` and `causes` in that of the page."""
    names = _names([row.name for row in rows])
    drawn = [
        scatter(
            rows, names, "Accuracy against context tokens", "context tokens, mean (log)",
            lambda row: row.summary.spread(CONTEXT_TOKENS.name).mean, plain,
        ),
        scatter(
            rows, names, "Accuracy against latency", "latency of a question, median, in ms (log)",
            _latency_ms, plain,
        ),
        _by_category(rows, names, categories),
        _spread("Latency of a question", "retrieval + answer, in ms (log)", names, [
            [1000 * value for value in backend.latencies] for backend in backends
        ]),
        _spread("Context of a question", "tokens (log)", names, [backend.tokens for backend in backends]),
        _causes(backends, names, causes),
    ]  # fmt: skip
    return [chart for chart in drawn if chart]


def _latency_ms(row: BackendRow) -> float | None:
    median = row.summary.spread(LATENCY_S.name).p50
    return None if median is None else 1000 * median


def _names(labels: Iterable[str], length: int = 26) -> list[str]:
    """Short enough to be drawn, and no two alike."""
    names: list[str] = []
    for label in labels:
        name = short(visible(label), length) or "(no name)"
        names.append(name if name not in names else f"{short(name, length - 6)} #{len(names) + 1}")
    return names


# --- by category --------------------------------------------------------------------------------------------------


def _by_category(rows: Sequence[BackendRow], names: Sequence[str], categories: Sequence[str]) -> Chart | None:
    values, numbers = [], [["category", "backend", "questions", "accuracy, %", "95 % interval"]]
    shown = _names(categories)
    for category, heading in zip(categories, shown, strict=True):
        for n, (row, name) in enumerate(zip(rows, names, strict=True)):
            scores = row.summary.by_category.get(category)
            accuracy, ends = (scores.mean(ACCURACY.name), scores.interval(ACCURACY.name)) if scores else (None, None)
            if scores is None or accuracy is None or ends is None:
                continue
            share, (low, high) = 100 * accuracy, (100 * end for end in ends)
            values.append(
                {"category": heading, "name": name, "x": share, "low": low, "high": high,
                 "colour": f"var(--c{n % COLOURS})", "opacity": 1 if row.is_memory else 0.45}
            )  # fmt: skip
            numbers.append([heading, name, f"{scores.answered:,}", f"{share:.1f}", f"{low:.1f}–{high:.1f}"])
    if not values:
        return None
    present = [heading for heading in shown if any(value["category"] == heading for value in values)]

    def spec(width: int) -> dict[str, Any]:
        common = {
            "y": {"field": "category", "type": "nominal", "sort": present, "title": None, "axis": {"ticks": False}},
            "yOffset": {"field": "name", "type": "nominal", "sort": list(names), "scale": {"paddingInner": 0.15}},
        }
        x = {"type": "quantitative", "title": "accuracy, %", "scale": {"domain": [0, 100]}, "axis": {"tickCount": 5}}
        return {
            "width": width - 60,
            "height": {"step": max(8, min(13, 70 / len(names))), "for": "offset"},
            "data": {"values": values},
            "layer": [
                {
                    "mark": {"type": "bar"},
                    "encoding": {
                        **common, "x": {**x, "field": "x"}, "color": {"field": "colour", "type": "nominal", "scale": None},
                        "opacity": {"field": "opacity", "type": "quantitative", "scale": None, "legend": None},
                    },
                },
                {
                    "mark": {"type": "rule", "stroke": "var(--ink)", "strokeWidth": 1.25},
                    "encoding": {**common, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
                },
            ],
        }  # fmt: skip

    legend = [(colour(n), name) for n, name in enumerate(names)]
    caption = "Lines are 95 % intervals; controls are paler."
    return Chart("Accuracy by category", caption, svg(spec(WIDE)), svg(spec(NARROW)), legend, numbers, "tall")


# --- how far it spreads -------------------------------------------------------------------------------------------

_QUANTILES = (5, 25, 50, 75, 95)


def _spread(title: str, axis: str, names: Sequence[str], measured: Sequence[Sequence[float]]) -> Chart | None:
    """Boxes on a log axis: what is zero throughout has no place on it."""
    values, numbers, nothing = [], [["backend", *(f"p{q}" for q in _QUANTILES)]], []
    low, high = math.inf, 0.0
    for n, (name, of_one) in enumerate(zip(names, measured, strict=True)):
        known = [value for value in of_one if math.isfinite(value)]
        if not known:
            continue
        ends = [float(end) for end in np.percentile(known, _QUANTILES)]
        numbers.append([name, *map(plain, ends)])
        if ends[-1] <= 0:
            nothing.append(name)
            continue
        p5, q1, p50, q3, p95 = (max(end, ends[-1] / 1000) for end in ends)
        low, high = min(low, p5 / 1.3), max(high, p95 * 1.3)
        values.append(
            {"name": name, "p5": p5, "q1": q1, "p50": p50, "q3": q3, "p95": p95, "colour": f"var(--c{n % COLOURS})"}
        )
    if not values:
        return None
    caption = "Box: the middle half of the questions, with the median; line: from the 5th to the 95th percentile."
    if nothing:
        caption += f" {', '.join(nothing)}: zero throughout, not drawn."

    def spec(width: int) -> dict[str, Any]:
        y = {
            "field": "name", "type": "nominal", "sort": list(names), "title": None, "axis": {"ticks": False},
        }  # fmt: skip
        x = {
            "type": "quantitative", "title": axis, "scale": {"type": "log", "domain": [low, high], "nice": False},
            "axis": {"values": ticks(low, high), "format": ",~g"},
        }  # fmt: skip
        paint = {"field": "colour", "type": "nominal", "scale": None}
        return {
            "width": width - 60,
            "height": {"step": 32},
            "data": {"values": values},
            "layer": [
                {
                    "mark": {"type": "rule", "strokeWidth": 2},
                    "encoding": {"y": y, "x": {**x, "field": "p5"}, "x2": {"field": "p95"}, "color": paint},
                },
                {
                    "mark": {"type": "bar", "size": 14, "strokeWidth": 5, "strokeJoin": "round"},
                    "encoding": {
                        "y": y,
                        "x": {**x, "field": "q1"},
                        "x2": {"field": "q3"},
                        "color": paint,
                        "stroke": {**paint},
                    },
                },
                {
                    "mark": {"type": "tick", "size": 25, "thickness": 2, "color": "var(--ink)"},
                    "encoding": {"y": y, "x": {**x, "field": "p50"}},
                },
            ],
        }

    return Chart(title, caption, svg(spec(WIDE)), svg(spec(NARROW)), [], numbers)


# --- why it was wrong ---------------------------------------------------------------------------------------------


def _causes(backends: Sequence[Backend], names: Sequence[str], causes: Sequence[str]) -> Chart | None:
    if not any(backend.causes for backend in backends):
        return None
    shown = dict(zip(causes, _names(causes, 60), strict=True))
    values, numbers = [], [["backend", "wrong answers", *shown.values()]]
    for backend, name in zip(backends, names, strict=True):
        counts = {**backend.causes, "": backend.wrong - sum(backend.causes.values())}
        if not backend.wrong:
            continue
        start = 0.0
        for n, cause in enumerate(shown):
            share = 100 * counts.get(cause, 0) / backend.wrong
            values.append({"name": name, "from": start, "to": start + share, "colour": f"var(--k{n % COLOURS})"})
            start += share
        numbers.append([name, f"{backend.wrong:,}", *(f"{counts.get(cause, 0):,}" for cause in shown)])

    def spec(width: int) -> dict[str, Any]:
        return {
            "width": width - 60,
            "height": {"step": 28},
            "data": {"values": values},
            "mark": {"type": "bar", "size": 18, "stroke": "var(--card)", "strokeWidth": 1},
            "encoding": {
                "y": {"field": "name", "type": "nominal", "sort": list(names), "title": None, "axis": {"ticks": False}},
                "x": {
                    "field": "from", "type": "quantitative", "title": "share of the wrong answers, %",
                    "scale": {"domain": [0, 100]}, "axis": {"tickCount": 5},
                },
                "x2": {"field": "to"},
                "color": {"field": "colour", "type": "nominal", "scale": None},
            },
        }  # fmt: skip

    legend = [(f"k{n % COLOURS}", heading) for n, heading in enumerate(shown.values())]
    caption = "Of the wrong answers in the headline categories, the stage at which what they take was lost."
    wide, narrow = svg(spec(2 * WIDE)), svg(spec(NARROW))
    return Chart("Why answers were wrong", caption, wide, narrow, legend, numbers, "broad")
