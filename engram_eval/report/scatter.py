"""Scatter charts: accuracy against what it costs, in tokens or in time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from engram_eval.compare.rows import BackendRow
from engram_eval.metrics.accuracy import ACCURACY
from engram_eval.report.drawing import Chart, Spec, colour, draw, finite, ticks

_HEIGHT = 300  # pixels
_LETTER_WIDTH = 6.7  # pixels, about
_PAINT = {"field": "colour", "type": "nominal", "scale": None}


@dataclass(frozen=True, slots=True)
class _Point:
    """A backend; accuracy and its interval in per cent. The specs refer to these names."""

    name: str
    colour: str
    fill: str
    is_memory: bool
    x: float
    accuracy: float
    low: float
    high: float


def scatter(
    rows: Sequence[BackendRow],
    names: Sequence[str],
    title: str,
    axis: str,
    x_of: Callable[[BackendRow], float | None],
    show_x: Callable[[float], str],
) -> Chart | None:
    """Accuracy against `x_of` each row on a log axis; None if there is no accuracy. `names` are those of the rows."""
    backends = [
        point
        for number, (row, name) in enumerate(zip(rows, names, strict=True))
        if (point := _point(row, name, colour(number), x_of(row)))
    ]
    if not backends:
        return None
    points = [point for point in backends if point.x > 0]
    zeros = [point for point in backends if point.x <= 0]
    front = _pareto_front([point for point in points if point.is_memory])
    caption = (
        "Up and to the left is better. Bars are 95 % intervals; hollow points are controls. Points that would overlap are "
        "drawn side by side; the exact numbers are below."
    )
    if len(front) > 1:
        caption += " The stepped line is the Pareto front: no memory left of it is as accurate."
    if zeros:
        caption += f" A dashed line is a backend at 0, which a log axis cannot show: {_names(zeros)}."
    wide, narrow = draw(lambda width: _spec(points, zeros, front, axis, width))
    numbers = [
        ["backend", axis.removesuffix(" (log)"), "accuracy, %", "95 % interval"],
        *(
            [point.name, show_x(point.x), f"{point.accuracy:.1f}", f"{point.low:.1f}–{point.high:.1f}"]
            for point in backends
        ),
    ]
    return Chart(title, caption, wide, narrow, numbers)


def _point(row: BackendRow, name: str, paint: str, x: float | None) -> _Point | None:
    accuracy, interval = row.summary.mean(ACCURACY.name), row.summary.interval(ACCURACY.name)
    if accuracy is None or interval is None or x is None or not finite(x):
        return None
    low, high = (100 * end for end in interval)
    return _Point(name, paint, paint if row.is_memory else "var(--card)", row.is_memory, x, 100 * accuracy, low, high)


def _names(points: Sequence[_Point]) -> str:
    return ", ".join(point.name for point in points)


def _pareto_front(points: Sequence[_Point]) -> list[_Point]:
    """The points that no other beats at the same x or a smaller one."""
    front: list[_Point] = []
    for point in sorted(points, key=lambda point: (point.x, -point.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front


# --- the area between the axes ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Frame:
    """Converts values to pixels from the left and from the top, and back. `left` and `right` are log10 of x."""

    width: int
    left: float
    right: float
    bottom: float
    top: float

    def across(self, x: float) -> float:
        return self.width * (math.log10(x) - self.left) / (self.right - self.left)

    def down(self, accuracy: float) -> float:
        return _HEIGHT * (self.top - accuracy) / (self.top - self.bottom)

    def x_at(self, across: float) -> float:
        exponent: float = self.left + (self.right - self.left) * across / self.width
        return float(10**exponent)

    def accuracy_at(self, down: float) -> float:
        return self.top - (self.top - self.bottom) * down / _HEIGHT


def _frame(points: Sequence[_Point], zeros: Sequence[_Point], width: int) -> _Frame:
    """With room around all points and their intervals."""
    lowest = 10 * math.floor(min(point.low for point in [*points, *zeros]) / 10)
    highest = 10 * math.ceil(max(point.high for point in [*points, *zeros]) / 10)
    exponents = [math.log10(point.x) for point in points] or [0.0, 1.0]
    room = max(0.12 * (max(exponents) - min(exponents)), 0.15)
    return _Frame(
        width,
        left=min(exponents) - room,
        right=max(exponents) + room,
        bottom=max(0, lowest),
        top=min(100, max(highest, lowest + 20)),
    )


# --- the spec -----------------------------------------------------------------------------------------------------


def _spec(points: Sequence[_Point], zeros: Sequence[_Point], front: Sequence[_Point], axis: str, width: int) -> Spec:
    frame = _frame(points, zeros, width)
    x = {
        "field": "x", "type": "quantitative", "title": axis,
        "scale": {"type": "log", "domain": [10**frame.left, 10**frame.right], "nice": False},
        "axis": {"values": ticks(10**frame.left, 10**frame.right), "format": ",~g"},
    }  # fmt: skip
    y = {
        "field": "accuracy", "type": "quantitative", "title": "accuracy, %",
        "scale": {"domain": [frame.bottom, frame.top], "nice": False}, "axis": {"tickCount": 6},
    }  # fmt: skip
    across = _side_by_side([frame.across(point.x) for point in points])
    shown = [replace(point, x=frame.x_at(pixel)) for point, pixel in zip(points, across, strict=True)]
    steps = [shown[points.index(point)] for point in front]
    if steps:
        steps.append(replace(steps[-1], x=10**frame.right))
    return {
        "width": width,
        "height": _HEIGHT,
        "layer": [
            _front_layer(steps if len(front) > 1 else [], x, y),
            *_zero_layers([replace(zero, x=10**frame.left) for zero in zeros], x, y),
            *_point_layers(shown, x, y),
            *_label_layers(_place_labels(points, across, frame), frame, x, y),
        ],
    }


def _values(points: Sequence[_Point]) -> Spec:
    return {"values": list(map(asdict, points))}


def _front_layer(steps: Sequence[_Point], x: Spec, y: Spec) -> Spec:
    return {
        "data": _values(steps),
        "mark": {"type": "line", "interpolate": "step-after", "stroke": "var(--front)", "strokeWidth": 1.5},
        "encoding": {"x": x, "y": y},
    }


def _zero_layers(zeros: Sequence[_Point], x: Spec, y: Spec) -> list[Spec]:
    return [
        {
            "data": _values(zeros),
            "mark": {"type": "rule", "strokeDash": [4, 4]},
            "encoding": {"y": y, "color": _PAINT},
        },
        {
            "data": _values(zeros),
            "mark": {"type": "text", "align": "left", "dx": 6, "dy": -8, "fontSize": 12, "fontWeight": 600},
            "encoding": {"x": x, "y": y, "text": {"field": "name"}, "color": _PAINT},
        },
    ]


def _point_layers(points: Sequence[_Point], x: Spec, y: Spec) -> list[Spec]:
    return [
        {
            "data": _values(points),
            "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.55},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": _PAINT},
        },
        {
            "data": _values(points),
            "mark": {"type": "point", "filled": True, "size": 90, "strokeWidth": 2, "opacity": 1},
            "encoding": {"x": x, "y": y, "fill": {**_PAINT, "field": "fill"}, "stroke": _PAINT},
        },
    ]


# --- labels -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Label:
    """`across` and `down` in pixels; `align` is the end of the text that is there."""

    point: _Point
    across: float
    down: float
    align: Literal["left", "right"]


def _label_layers(labels: Sequence[_Label], frame: _Frame, x: Spec, y: Spec) -> list[Spec]:
    """The names, and under all of them a halo that covers what they cross."""
    halo = {"stroke": "var(--card)", "strokeWidth": 4, "strokeJoin": "round", "fill": "var(--card)"}
    layers = []
    for mark, paint in ((halo, {}), ({}, {"color": _PAINT})):
        for align in ("left", "right"):
            values = [
                asdict(replace(label.point, x=frame.x_at(label.across), accuracy=frame.accuracy_at(label.down)))
                for label in labels
                if label.align == align
            ]
            text: dict[str, Any] = {"type": "text", "align": align, "baseline": "middle", "fontSize": 12}
            layers.append(
                {
                    "data": {"values": values},
                    "mark": {**text, "fontWeight": 600, **mark},
                    "encoding": {"x": x, "y": y, "text": {"field": "name"}, **paint},
                }
            )
    return layers


def _side_by_side(places: Sequence[float], gap: float = 13) -> list[float]:
    """The places along the axis; those closer than `gap` are moved apart around their middle."""
    order = sorted(range(len(places)), key=lambda n: places[n])
    groups: list[list[int]] = []
    for n in order:
        if groups and places[n] - places[groups[-1][-1]] < gap:
            groups[-1].append(n)
        else:
            groups.append([n])
    apart = list(places)
    for group in groups:
        middle = sum(places[n] for n in group) / len(group)
        for rank, n in enumerate(group):
            apart[n] = middle + gap * (rank - (len(group) - 1) / 2)
    return apart


def _place_labels(points: Sequence[_Point], across: Sequence[float], frame: _Frame) -> list[_Label]:
    """Each point's name beside it and its neighbours, moved up or down where something else is in the way."""
    placed = [(point, x, frame.down(point.accuracy)) for point, x in zip(points, across, strict=True)]
    boxes = [(x - 9, x + 9, y - 7, y + 7) for _, x, y in placed]
    labels: list[_Label] = []
    for point, x, y in sorted(placed, key=lambda place: place[2]):
        length = _LETTER_WIDTH * len(point.name)
        neighbours = [neighbour for neighbour in across if abs(neighbour - x) < 40]
        align: Literal["left", "right"] = "left" if max(neighbours) + 10 + length <= frame.width + 10 else "right"
        start = max(neighbours) + 12 if align == "left" else min(neighbours) - 12
        ends = (start, start + length) if align == "left" else (start - length, start)
        moves = (step * sign for step in range(0, _HEIGHT, 3) for sign in (1, -1))
        move = next((m for m in moves if 8 <= y + m <= _HEIGHT - 8 and not _overlaps(ends, y + m, boxes)), 0)
        boxes.append((*ends, y + move - 7, y + move + 7))
        labels.append(_Label(point, start, y + move, align))
    return labels


def _overlaps(ends: tuple[float, float], middle: float, boxes: Sequence[tuple[float, float, float, float]]) -> bool:
    """Whether a line of text between these ends meets a box (left, right, top, bottom)."""
    return any(ends[0] < b[1] and b[0] < ends[1] and middle - 7 < b[3] and b[2] < middle + 7 for b in boxes)
