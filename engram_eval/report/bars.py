"""Bar charts: accuracy by category, and the failure stages of wrong answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from engram_eval.compare.rows import BackendRow
from engram_eval.metrics.accuracy import ACCURACY
from engram_eval.metrics.failure_stage import FailureStage
from engram_eval.report.drawing import WIDE, Chart, Spec, colour, colour_class, draw
from engram_eval.report.text import distinct_labels

# --- accuracy by category -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _CategoryBar:
    """Accuracies in per cent. The specs refer to these names."""

    category: str
    name: str
    answered: int
    accuracy: float
    low: float
    high: float
    colour: str
    opacity: float


def accuracy_by_category(rows: Sequence[BackendRow], names: Sequence[str], categories: Sequence[str]) -> Chart | None:
    """Bars for all backends, grouped by category; None if there is no accuracy. `names` are those of the rows."""
    headings = distinct_labels(categories)
    bars = [
        bar
        for category, heading in zip(categories, headings, strict=True)
        for number, (row, name) in enumerate(zip(rows, names, strict=True))
        if (bar := _category_bar(row, name, number, category, heading))
    ]
    if not bars:
        return None
    present = [heading for heading in headings if any(bar.category == heading for bar in bars)]
    wide, narrow = draw(lambda width: _category_spec(bars, names, present, width))
    numbers = [
        ["category", "backend", "questions", "accuracy, %", "95 % interval"],
        *(
            [bar.category, bar.name, f"{bar.answered:,}", f"{bar.accuracy:.1f}", f"{bar.low:.1f}–{bar.high:.1f}"]
            for bar in bars
        ),
    ]
    legend = [(colour_class(number), name) for number, name in enumerate(names)]
    caption = "Lines are 95 % intervals; controls are paler."
    return Chart("Accuracy by category", caption, wide, narrow, numbers, legend, "tall")


def _category_bar(row: BackendRow, name: str, number: int, category: str, heading: str) -> _CategoryBar | None:
    scores = row.summary.by_category.get(category)
    if scores is None:
        return None
    accuracy, interval = scores.mean(ACCURACY.name), scores.interval(ACCURACY.name)
    if accuracy is None or interval is None:
        return None
    low, high = (100 * end for end in interval)
    opacity = 1 if row.is_memory else 0.45
    return _CategoryBar(heading, name, scores.answered, 100 * accuracy, low, high, colour(number), opacity)


def _category_spec(bars: Sequence[_CategoryBar], names: Sequence[str], categories: Sequence[str], width: int) -> Spec:
    y = {
        "y": {"field": "category", "type": "nominal", "sort": list(categories), "title": None, "axis": {"ticks": False}},
        "yOffset": {"field": "name", "type": "nominal", "sort": list(names), "scale": {"paddingInner": 0.15}},
    }  # fmt: skip
    x = {"type": "quantitative", "title": "accuracy, %", "scale": {"domain": [0, 100]}, "axis": {"tickCount": 5}}
    bar_layer = {
        "mark": {"type": "bar"},
        "encoding": {
            **y,
            "x": {**x, "field": "accuracy"},
            "color": {"field": "colour", "type": "nominal", "scale": None},
            "opacity": {"field": "opacity", "type": "quantitative", "scale": None, "legend": None},
        },
    }
    interval_layer = {
        "mark": {"type": "rule", "stroke": "var(--ink)", "strokeWidth": 1.25},
        "encoding": {**y, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
    }
    return {
        "width": width - 60,
        "height": {"step": max(8, min(13, 70 / len(names))), "for": "offset"},
        "data": {"values": list(map(asdict, bars))},
        "layer": [bar_layer, interval_layer],
    }


# --- failure stages -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _StageBar:
    """A part of a backend's bar, in per cent of its wrong answers. The spec refers to these names."""

    name: str
    start: float
    end: float
    colour: str


def failure_stages(rows: Sequence[BackendRow], names: Sequence[str]) -> Chart | None:
    """A bar per backend, divided by failure stage; None without wrong answers. `names` are those of the rows."""
    stages = [stage for stage in FailureStage if any(row.summary.failure_stages.get(stage) for row in rows)]
    if not stages:
        return None
    colours = {stage: f"k{number}" for number, stage in enumerate(FailureStage)}
    bars: list[_StageBar] = []
    numbers = [["backend", "wrong answers", *stages]]
    for row, name in zip(rows, names, strict=True):
        counts = {stage: row.summary.failure_stages.get(stage, 0) for stage in stages}
        wrong = sum(counts.values())
        if not wrong:
            continue
        start = 0.0
        for stage, count in counts.items():
            end = start + 100 * count / wrong
            bars.append(_StageBar(name, start, end, f"var(--{colours[stage]})"))
            start = end
        numbers.append([name, f"{wrong:,}", *(f"{count:,}" for count in counts.values())])
    wide, narrow = draw(lambda width: _stage_spec(bars, names, width), wide=2 * WIDE)
    legend = [(colours[stage], str(stage)) for stage in stages]
    caption = "The stage at which the evidence was lost, as a share of the wrong answers in the headline categories."
    return Chart("Failure stages", caption, wide, narrow, numbers, legend, "broad")


def _stage_spec(bars: Sequence[_StageBar], names: Sequence[str], width: int) -> Spec:
    return {
        "width": width - 60,
        "height": {"step": 28},
        "data": {"values": list(map(asdict, bars))},
        "mark": {"type": "bar", "size": 18, "stroke": "var(--card)", "strokeWidth": 1},
        "encoding": {
            "y": {"field": "name", "type": "nominal", "sort": list(names), "title": None, "axis": {"ticks": False}},
            "x": {
                "field": "start", "type": "quantitative", "title": "share of the wrong answers, %",
                "scale": {"domain": [0, 100]}, "axis": {"tickCount": 5},
            },
            "x2": {"field": "end"},
            "color": {"field": "colour", "type": "nominal", "scale": None},
        },
    }  # fmt: skip
