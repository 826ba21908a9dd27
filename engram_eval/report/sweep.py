"""Evidence recall and accuracy against one setting, where a run has a backend at several values of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from pydantic import JsonValue

from engram_eval.compare.rows import BackendRow
from engram_eval.metrics.accuracy import ACCURACY
from engram_eval.metrics.evidence import EVIDENCE_RECALL
from engram_eval.report.drawing import NARROW, WIDE, Chart, Spec, colour, finite, svg
from engram_eval.report.text import label
from engram_eval.tables.table import MISSING

_FEWEST = 3  # values that make a sweep
_LOG_FROM = 20  # times the smallest value: from there on a linear axis would crowd the small values


@dataclass(frozen=True, slots=True)
class Sweep:
    """Rows of one run, in the order of `values`, that have all settings but `setting` in common.

    `fixed`: those of the common settings that differ from the other sweeps of the same setting.
    """

    run: str
    backend: str
    setting: str
    fixed: Mapping[str, JsonValue]
    values: tuple[float, ...]
    rows: tuple[BackendRow, ...]


class _Group(NamedTuple):
    """What the rows of a sweep have in common. `others`: their other settings, as JSON."""

    run: str
    backend: str
    setting: str
    others: str


def sweeps(rows: Sequence[BackendRow]) -> list[Sweep]:
    """The settings that vary by themselves: at least three numbers, with all other settings equal.

    If rows are equal in all settings, the first counts.
    """
    groups: dict[_Group, dict[float, BackendRow]] = {}
    for row in rows:
        settings, backend = row.entry.settings, row.entry.backend
        if backend is None:
            continue
        for setting, value in settings.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and finite(value):
                others = {name: other for name, other in settings.items() if name != setting}
                group = _Group(row.run, backend, setting, json.dumps(others, sort_keys=True))
                groups.setdefault(group, {}).setdefault(float(value), row)
    large = {group: dict(sorted(rows_at.items())) for group, rows_at in groups.items() if len(rows_at) >= _FEWEST}
    return [
        Sweep(group.run, group.backend, group.setting, _fixed(group, list(large)), tuple(rows_at), tuple(rows_at.values()))
        for group, rows_at in large.items()
    ]  # fmt: skip


def _fixed(group: _Group, groups: Sequence[_Group]) -> dict[str, JsonValue]:
    """The group's other settings in which it differs from a group that sweeps the same setting."""
    same_setting = [json.loads(other.others) for other in groups if other[:3] == group[:3]]
    settings: dict[str, JsonValue] = json.loads(group.others)
    return {name: value for name, value in settings.items() if any(other[name] != value for other in same_setting)}


# --- the chart ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Panel:
    """A measure over the sweep. `key`: the measure's name in the summary; `scale`: what its values are multiplied by."""

    title: str
    key: str
    scale: float
    show: Callable[[float], str]


_PANELS = (
    _Panel("evidence recall", EVIDENCE_RECALL.name, 1, lambda value: f"{value:.3f}"),
    _Panel("accuracy, %", ACCURACY.name, 100, lambda value: f"{value:.1f}"),
)


@dataclass(frozen=True, slots=True)
class _Point:
    """A value of the setting, and the measure there with its interval. The spec refers to these names."""

    x: float
    y: float
    low: float
    high: float


def sweep_chart(sweep: Sweep, run: str | None) -> Chart | None:
    """A panel per measure, with a band for its 95 % interval; None without figures. `run`: its name, if there are several."""
    setting, backend = label(sweep.setting, 40), label(sweep.backend, 40)
    panels = [(panel, points) for panel in _PANELS if len(points := _points(sweep, panel)) >= _FEWEST]
    if not panels:
        return None
    fixed = [label(f"{name} {value}", 40) for name, value in sweep.fixed.items()]
    title = f"Sweep of {setting} ({', '.join([backend, *fixed, *([run] if run else [])])})"
    caption = (
        f"The backend {backend} at {len(sweep.values)} values of {setting}, with all other settings equal. Bands are the 95 % "
        "intervals of single points. The points share their questions, so differences between them are more certain than "
        "the bands suggest: see the pairs. The vertical axes may not begin at 0."
    )

    def spec(width: int, arrange: str) -> Spec:
        drawn = [
            _panel_spec(sweep, setting, panel, points, colour(number), width)
            for number, (panel, points) in enumerate(panels, start=1)
        ]
        return {arrange: drawn, "spacing": 30}

    wide, narrow = svg(spec(WIDE - 20, "hconcat")), svg(spec(NARROW, "vconcat"))
    return Chart(title, caption, wide, narrow, _numbers(sweep, setting, panels), shape="broad")


def _points(sweep: Sweep, panel: _Panel) -> list[_Point]:
    """The measure at each value of the setting at which it is known."""
    points = []
    for value, row in zip(sweep.values, sweep.rows, strict=True):
        mean, interval = row.summary.mean(panel.key), row.summary.interval(panel.key)
        if mean is not None and interval is not None:
            points.append(_Point(value, panel.scale * mean, panel.scale * interval[0], panel.scale * interval[1]))
    return points


def _numbers(sweep: Sweep, setting: str, panels: Sequence[tuple[_Panel, Sequence[_Point]]]) -> list[list[str]]:
    heading = [setting, "backend", *(cell for panel, _ in panels for cell in (panel.title, "95 % interval"))]
    lines = [heading]
    for value, row in zip(sweep.values, sweep.rows, strict=True):
        line = [f"{value:g}", label(row.name, 40)]
        for panel, points in panels:
            point = next((point for point in points if point.x == value), None)
            line += (
                [panel.show(point.y), f"{panel.show(point.low)}–{panel.show(point.high)}"] if point else [MISSING] * 2
            )
        lines.append(line)
    return lines


def _panel_spec(sweep: Sweep, setting: str, panel: _Panel, points: Sequence[_Point], paint: str, width: int) -> Spec:
    low, high = min(point.low for point in points), max(point.high for point in points)
    room = max(0.08 * (high - low), 0.01 * panel.scale)
    bottom, top = max(0.0, low - room), min(panel.scale, high + room)
    log = sweep.values[0] > 0 and sweep.values[-1] / sweep.values[0] >= _LOG_FROM
    x = {
        "field": "x", "type": "quantitative", "title": setting + (" (log)" if log else ""),
        "scale": {"type": "log" if log else "linear", "nice": False, "zero": False, "padding": 14},
        "axis": {"values": list(sweep.values), "format": "~g", "grid": False, "labelOverlap": True},
    }  # fmt: skip
    y = {
        "field": "y", "type": "quantitative", "title": panel.title,
        "scale": {"domain": [bottom, top], "nice": False, "zero": False}, "axis": {"tickCount": 6, "grid": True},
    }  # fmt: skip
    band = {
        "mark": {"type": "area", "fill": paint, "opacity": 0.18},
        "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
    }
    line = {"mark": {"type": "line", "stroke": paint, "strokeWidth": 2}, "encoding": {"x": x, "y": y}}
    dots = {
        "mark": {"type": "point", "filled": True, "fill": paint, "size": 60, "opacity": 1},
        "encoding": {"x": x, "y": y},
    }
    return {
        "width": width,
        "height": 240,
        "data": {"values": list(map(asdict, points))},
        "layer": [band, line, dots],
    }
