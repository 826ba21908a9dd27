"""Box charts: how a quantity is distributed over the questions, by backend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from engram_eval.report.drawing import Chart, Spec, approximate, colour, draw, ticks

_PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True, slots=True)
class _Box:
    """A backend's percentiles. The spec refers to these names."""

    name: str
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float
    colour: str


def spread(title: str, axis: str, names: Sequence[str], values: Sequence[Sequence[float]]) -> Chart | None:
    """Boxes of each backend's values on a log axis, which cannot show a backend whose values are all 0."""
    boxes: list[_Box] = []
    zeros: list[str] = []
    numbers = [["backend", *(f"p{percentile}" for percentile in _PERCENTILES)]]
    for number, (name, backend_values) in enumerate(zip(names, values, strict=True)):
        known = [value for value in backend_values if math.isfinite(value)]
        if not known:
            continue
        percentiles = [float(value) for value in np.percentile(known, _PERCENTILES)]
        numbers.append([name, *map(approximate, percentiles)])
        if percentiles[-1] <= 0:
            zeros.append(name)
            continue
        p5, p25, p50, p75, p95 = (max(value, percentiles[-1] / 1000) for value in percentiles)
        boxes.append(_Box(name, p5, p25, p50, p75, p95, colour(number)))
    if not boxes:
        return None
    caption = "Box: the middle half of the questions, with the median. Line: from the 5th to the 95th percentile."
    if zeros:
        caption += f" Not drawn, because always 0: {', '.join(zeros)}."
    wide, narrow = draw(lambda width: _spec(boxes, names, axis, width))
    return Chart(title, caption, wide, narrow, numbers)


def _spec(boxes: Sequence[_Box], names: Sequence[str], axis: str, width: int) -> Spec:
    low, high = min(box.p5 for box in boxes) / 1.3, max(box.p95 for box in boxes) * 1.3
    y = {"field": "name", "type": "nominal", "sort": list(names), "title": None, "axis": {"ticks": False}}
    x = {
        "type": "quantitative", "title": axis, "scale": {"type": "log", "domain": [low, high], "nice": False},
        "axis": {"values": ticks(low, high), "format": ",~g"},
    }  # fmt: skip
    paint = {"field": "colour", "type": "nominal", "scale": None}
    whole_line = {
        "mark": {"type": "rule", "strokeWidth": 2},
        "encoding": {"y": y, "x": {**x, "field": "p5"}, "x2": {"field": "p95"}, "color": paint},
    }
    box = {
        "mark": {"type": "bar", "size": 14, "strokeWidth": 5, "strokeJoin": "round"},
        "encoding": {
            "y": y, "x": {**x, "field": "p25"}, "x2": {"field": "p75"}, "color": paint, "stroke": {**paint},
        },
    }  # fmt: skip
    median = {
        "mark": {"type": "tick", "size": 25, "thickness": 2, "color": "var(--ink)"},
        "encoding": {"y": y, "x": {**x, "field": "p50"}},
    }
    return {
        "width": width - 60,
        "height": {"step": 32},
        "data": {"values": list(map(asdict, boxes))},
        "layer": [whole_line, box, median],
    }
