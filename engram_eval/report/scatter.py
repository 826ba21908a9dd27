"""Accuracy against what it takes: tokens, or time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engram_eval.compare.rows import BackendRow
from engram_eval.metrics.accuracy import ACCURACY
from engram_eval.report.drawing import COLOURS, NARROW, WIDE, Chart, finite, svg, ticks

_LETTER = 6.7  # the width of one, about, in pixels


@dataclass(frozen=True, slots=True)
class _Point:
    name: str
    colour: str
    control: bool
    x: float
    y: float
    low: float
    high: float


def scatter(
    rows: Sequence[BackendRow],
    names: Sequence[str],
    title: str,
    axis: str,
    takes: Callable[[BackendRow], float | None],
    show: Callable[[float], str],
) -> Chart | None:
    points: list[_Point] = []
    floors: list[_Point] = []
    numbers = [["backend", axis.removesuffix(" (log)"), "accuracy, %", "95 % interval"]]
    for n, (row, name) in enumerate(zip(rows, names, strict=True)):
        x, accuracy, ends = takes(row), row.summary.mean(ACCURACY.name), row.summary.interval(ACCURACY.name)
        if accuracy is None or ends is None or not finite(x):
            continue
        low, high = ends
        point = _Point(
            name, f"var(--c{n % COLOURS})", not row.is_memory, x or 0.0, 100 * accuracy, 100 * low, 100 * high
        )
        (points if point.x > 0 else floors).append(point)
        numbers.append([name, show(point.x), f"{point.y:.1f}", f"{point.low:.1f}–{point.high:.1f}"])
    if len(numbers) == 1:
        return None
    front = _front([point for point in points if not point.control])
    caption = (
        "Up and to the left is better. Bars are 95 % intervals; hollow points are controls."
        " Points that would cover each other stand side by side; their numbers are below."
    )
    if len(front) > 1:
        caption += " The stepped line is the Pareto front: no memory left of it is as accurate."
    if floors:
        caption += f" {', '.join(point.name for point in floors)}: nothing is taken, so a dashed line stands for it."
    wide, narrow = (svg(_scatter_spec(points, floors, front, axis, width)) for width in (WIDE, NARROW))
    return Chart(title, caption, wide, narrow, [], numbers)


def _front(points: Sequence[_Point]) -> list[_Point]:
    """Those that none beats at as little or less."""
    front: list[_Point] = []
    for point in sorted(points, key=lambda point: (point.x, -point.y)):
        if not front or point.y > front[-1].y:
            front.append(point)
    return front


def _scatter_spec(
    points: Sequence[_Point], floors: Sequence[_Point], front: Sequence[_Point], axis: str, width: int
) -> dict[str, Any]:
    height = 300
    every = [*points, *floors]
    lowest = 10 * math.floor(min(point.low for point in every) / 10)
    highest = 10 * math.ceil(max(point.high for point in every) / 10)
    bottom, top = max(0, lowest), min(100, max(highest, lowest + 20))
    span = [math.log10(point.x) for point in points] or [0.0, 1.0]
    room = max(0.12 * (max(span) - min(span)), 0.15)
    left, right = min(span) - room, max(span) + room

    def across(x: float) -> float:
        return width * (math.log10(x) - left) / (right - left)

    def down(y: float) -> float:
        return height * (top - y) / (top - bottom)

    at = _apart([across(point.x) for point in points])
    shown = [
        {
            "x": 10 ** (left + (right - left) * px / width), "y": point.y, "low": point.low, "high": point.high,
            "colour": point.colour, "fill": "var(--card)" if point.control else point.colour,
        }
        for point, px in zip(points, at, strict=True)
    ]  # fmt: skip
    texts = _labels([(point, px, down(point.y)) for point, px in zip(points, at, strict=True)], width, height)
    labels = [
        {
            "x": 10 ** (left + (right - left) * px / width),
            "y": top - (top - bottom) * py / height, "name": point.name, "colour": point.colour, "side": side,
        }
        for point, px, py, side in texts
    ]  # fmt: skip
    steps = [shown[points.index(point)] for point in front]
    if steps:
        steps.append({**steps[-1], "x": 10**right})
    x = {
        "field": "x", "type": "quantitative", "title": axis,
        "scale": {"type": "log", "domain": [10**left, 10**right], "nice": False},
        "axis": {"values": ticks(10**left, 10**right), "format": ",~g"},
    }  # fmt: skip
    y = {
        "field": "y", "type": "quantitative", "title": "accuracy, %",
        "scale": {"domain": [bottom, top], "nice": False}, "axis": {"tickCount": 6},
    }  # fmt: skip
    paint = {"field": "colour", "type": "nominal", "scale": None}
    floor = [{"y": p.y, "x": 10**left, "name": p.name, "colour": p.colour} for p in floors]

    def text(side: str, **mark: Any) -> dict[str, Any]:
        words = {"type": "text", "align": side, "baseline": "middle", "fontSize": 12, "fontWeight": 600, **mark}
        return {
            "data": {"values": [label for label in labels if label["side"] == side]},
            "mark": words,
            "encoding": {"x": x, "y": y, "text": {"field": "name"}, **({} if "stroke" in mark else {"color": paint})},
        }

    halo = {"stroke": "var(--card)", "strokeWidth": 4, "strokeJoin": "round", "fill": "var(--card)"}
    layers = [
        {
            "data": {"values": steps if len(front) > 1 else []},
            "mark": {"type": "line", "interpolate": "step-after", "stroke": "var(--front)", "strokeWidth": 1.5},
            "encoding": {"x": x, "y": y},
        },
        {
            "data": {"values": floor},
            "mark": {"type": "rule", "strokeDash": [4, 4]},
            "encoding": {"y": y, "color": paint},
        },
        {
            "data": {"values": floor},
            "mark": {"type": "text", "align": "left", "dx": 6, "dy": -8, "fontSize": 12, "fontWeight": 600},
            "encoding": {"x": x, "y": y, "text": {"field": "name"}, "color": paint},
        },
        {
            "data": {"values": shown},
            "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.55},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": paint},
        },
        {
            "data": {"values": shown},
            "mark": {"type": "point", "filled": True, "size": 90, "strokeWidth": 2, "opacity": 1},
            "encoding": {
                "x": x, "y": y, "fill": {"field": "fill", "type": "nominal", "scale": None},
                "stroke": {"field": "colour", "type": "nominal", "scale": None},
            },
        },
        *(text(side, **halo) for side in ("left", "right")),
        *(text(side) for side in ("left", "right")),
    ]  # fmt: skip
    return {"width": width, "height": height, "layer": layers}


def _apart(places: Sequence[float], gap: float = 13) -> list[float]:
    """The places along the axis, those that would cover each other set side by side around their middle."""
    order = sorted(range(len(places)), key=lambda n: places[n])
    groups: list[list[int]] = []
    for n in order:
        if groups and places[n] - places[groups[-1][-1]] < gap:
            groups[-1].append(n)
        else:
            groups.append([n])
    out = list(places)
    for group in groups:
        middle = sum(places[n] for n in group) / len(group)
        for rank, n in enumerate(group):
            out[n] = middle + gap * (rank - (len(group) - 1) / 2)
    return out


def _labels(
    points: Sequence[tuple[_Point, float, float]], width: float, height: float
) -> list[tuple[_Point, float, float, str]]:
    """Each point's name beside it, or beside those that it stands among; lower where another stands already."""
    placed: list[tuple[_Point, float, float, str]] = []
    boxes = [(px - 9, px + 9, py - 7, py + 7) for _, px, py in points]
    for point, px, py in sorted(points, key=lambda of: of[2]):
        long = _LETTER * len(point.name)
        near = [other for _, other, _ in points if abs(other - px) < 40]
        side = "left" if max(near) + 10 + long <= width + 10 else "right"
        start = max(near) + 12 if side == "left" else min(near) - 12
        box = (start, start + long) if side == "left" else (start - long, start)
        moves = (step * sign for step in range(0, int(height), 3) for sign in (1, -1))
        free = next((m for m in moves if 8 <= py + m <= height - 8 and not _covers(box, py + m, boxes)), 0)
        boxes.append((*box, py + free - 7, py + free + 7))
        placed.append((point, start, py + free, side))
    return placed


def _covers(box: tuple[float, float], middle: float, boxes: Sequence[tuple[float, float, float, float]]) -> bool:
    return any(box[0] < b[1] and b[0] < box[1] and middle - 7 < b[3] and b[2] < middle + 7 for b in boxes)
