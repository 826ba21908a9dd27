"""Evidence recall and accuracy against one setting, where a run has a backend at several values of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engram_eval.compare.rows import BackendRow
from engram_eval.metrics.accuracy import ACCURACY
from engram_eval.metrics.evidence import EVIDENCE_RECALL
from engram_eval.report.drawing import NARROW, WIDE, Chart, colour, finite, svg
from engram_eval.report.text import short
from engram_eval.tables.text import visible

_FEWEST = 3  # values that make a sweep
_LOG_FROM = 20  # times the smallest value: from there on a linear axis would crowd the small ones


@dataclass(frozen=True, slots=True)
class Sweep:
    """Rows of one run in the order of `values`, alike in all settings but `setting`. `fixed`: what tells it from others."""

    run: str
    backend: str
    setting: str
    fixed: Mapping[str, Any]
    values: tuple[float, ...]
    rows: tuple[BackendRow, ...]


@dataclass(frozen=True, slots=True)
class _Measure:
    name: str
    key: str
    scale: float
    show: Callable[[float], str]


_MEASURES = (
    _Measure("evidence recall", EVIDENCE_RECALL.name, 1, lambda value: f"{value:.3f}"),
    _Measure("accuracy, %", ACCURACY.name, 100, lambda value: f"{value:.1f}"),
)


def sweeps(rows: Sequence[BackendRow]) -> list[Sweep]:
    """The settings that vary alone: at least three values of a number, all other settings alike.

    Of rows that are alike in all settings, the first counts.
    """
    groups: dict[tuple[str, str, str, str], dict[float, BackendRow]] = {}
    for row in rows:
        settings, backend = row.entry.settings, row.entry.backend
        if backend is None:
            continue
        for setting, value in settings.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and finite(value):
                rest = {name: other for name, other in settings.items() if name != setting}
                key = row.run, backend, setting, json.dumps(rest, sort_keys=True)
                groups.setdefault(key, {}).setdefault(float(value), row)
    found = []
    large = {key: dict(sorted(group.items())) for key, group in groups.items() if len(group) >= _FEWEST}
    for (run, backend, setting, others), group in large.items():
        alike = [json.loads(key[3]) for key in large if key[:3] == (run, backend, setting)]
        fixed = {n: v for n, v in json.loads(others).items() if any(other[n] != v for other in alike)}
        found.append(Sweep(run, backend, setting, fixed, tuple(group), tuple(group.values())))
    return found


def sweep_chart(sweep: Sweep, run: str | None) -> Chart | None:
    """A panel a measure, with a band for its 95 % interval. `run` is named where there are several."""
    name, backend = short(visible(sweep.setting), 40), short(visible(sweep.backend), 40)
    panels = [
        (measure, points) for measure in _MEASURES if len(points := _points(sweep, measure)) >= _FEWEST
    ]  # fmt: skip
    if not panels:
        return None
    of = [
        backend,
        *(short(visible(f"{key} {value}"), 40) for key, value in sweep.fixed.items()),
        *([run] if run else []),
    ]
    caption = (
        f"The backend {backend} at {len(sweep.values)} values of {name}, all other settings alike. Bands are 95 % intervals of "
        "each point by itself; the points share their questions, so that differences between them are surer than the bands "
        "look: see the pairs. The vertical axes need not begin at 0."
    )
    numbers = [[name, "backend", *(cell for m, _ in panels for cell in (m.name, "95 % interval"))]]
    for n, (value, row) in enumerate(zip(sweep.values, sweep.rows, strict=True)):
        line = [f"{value:g}", short(visible(row.name), 40)]
        for measure, points in panels:
            at = next((point for point in points if point["n"] == n), None)
            shown = [measure.show(at[end]) for end in ("y", "low", "high")] if at else []
            line += [shown[0], f"{shown[1]}–{shown[2]}"] if shown else ["–", "–"]
        numbers.append(line)

    def spec(width: int, together: str) -> dict[str, Any]:
        drawn = [_panel(sweep, name, measure, points, n, width) for n, (measure, points) in enumerate(panels)]
        return {together: drawn, "spacing": 30}

    wide, narrow = svg(spec(WIDE - 20, "hconcat")), svg(spec(NARROW, "vconcat"))
    return Chart(f"Sweep of {name} ({', '.join(of)})", caption, wide, narrow, [], numbers, "broad")


def _points(sweep: Sweep, measure: _Measure) -> list[dict[str, Any]]:
    points = []
    for n, (value, row) in enumerate(zip(sweep.values, sweep.rows, strict=True)):
        y, interval = row.summary.mean(measure.key), row.summary.interval(measure.key)
        if y is not None and interval is not None:
            ends = {"y": y, "low": interval[0], "high": interval[1]}
            points.append({"n": n, "x": value, **{end: measure.scale * share for end, share in ends.items()}})
    return points


def _panel(
    sweep: Sweep, name: str, measure: _Measure, points: Sequence[Mapping[str, Any]], number: int, width: int
) -> dict[str, Any]:
    low, high = min(point["low"] for point in points), max(point["high"] for point in points)
    room = max(0.08 * (high - low), 0.01 * measure.scale)
    bottom, top = max(0.0, low - room), min(measure.scale, high + room)
    log = sweep.values[0] > 0 and sweep.values[-1] / sweep.values[0] >= _LOG_FROM
    x = {
        "field": "x", "type": "quantitative", "title": name + (" (log)" if log else ""),
        "scale": {"type": "log" if log else "linear", "nice": False, "zero": False, "padding": 14},
        "axis": {"values": list(sweep.values), "format": "~g", "grid": False, "labelOverlap": True},
    }  # fmt: skip
    y = {
        "field": "y", "type": "quantitative", "title": measure.name,
        "scale": {"domain": [bottom, top], "nice": False, "zero": False}, "axis": {"tickCount": 6, "grid": True},
    }  # fmt: skip
    paint = f"var(--{colour(number + 1)})"
    return {
        "width": width,
        "height": 240,
        "data": {"values": list(points)},
        "layer": [
            {
                "mark": {"type": "area", "fill": paint, "opacity": 0.18},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
            {"mark": {"type": "line", "stroke": paint, "strokeWidth": 2}, "encoding": {"x": x, "y": y}},
            {
                "mark": {"type": "point", "filled": True, "fill": paint, "size": 60, "opacity": 1},
                "encoding": {"x": x, "y": y},
            },
        ],
    }
