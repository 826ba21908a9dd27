"""The two result figures as SVG: accuracy against context tokens, and evidence recall against the token budget.

Each SVG works by itself: it carries the colours of the light and of the dark theme and its own background.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any, Literal, TypedDict

import vl_convert

from engram_eval.report.drawing import ticks


class Point(TypedDict):
    """One backend at one budget. Shares are between 0 and 1; each `_ci` is a 95 % interval."""

    backend: str
    budget: int
    within_budget: bool
    """Whether the budget limits the context: not so for the full history and for the oracle control."""
    control: bool
    context_tokens: float
    """Mean over the questions."""
    accuracy: float
    accuracy_ci: list[float]
    evidence_recall: float
    evidence_recall_ci: list[float]


class Results(TypedDict):
    dataset: str
    sha256: str
    conversations: list[str]
    questions: int
    scored: int
    """Questions of the headline categories; accuracy and recall are over these."""
    reader: str
    judge: str
    points: list[Point]


# Light and dark values of each colour; the names are those of the report's style sheet.
_PALETTE = {
    "card": ("#ffffff", "#0d1117"),
    "ink": ("#1a1f27", "#e7eaf0"),
    "muted": ("#566070", "#9aa5b5"),
    "line": ("#e6e9ee", "#262c36"),
    "edge": ("#c9cfd8", "#3a424f"),
    "control": ("#7f8a99", "#7d8797"),
    "c1": ("#2563c9", "#6ea8ff"),
    "c2": ("#c2570c", "#ff9f55"),
    "c3": ("#0b8071", "#3fcab6"),
    "c4": ("#8b3fb8", "#c995f0"),
    "c5": ("#b0860b", "#e3c34a"),
    "c6": ("#c0307a", "#ff86bd"),
}
_SERIES = 6  # number of series colours, c1 to c6
_WIDTH, _HEIGHT = 600, 360  # pixels of the area between the axes
_NAME_HEIGHT = 17  # pixels
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

_CONFIG = {
    "font": "Helvetica, Arial, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)", "titleColor": "var(--muted)", "gridColor": "var(--line)",
        "domainColor": "var(--edge)", "tickColor": "var(--edge)", "labelFontSize": 12.5, "titleFontSize": 13,
        "titleFontWeight": "normal", "titlePadding": 12, "labelPadding": 6,
    },
    "axisX": {"grid": False},
    "axisY": {"domain": False, "ticks": False},
    "aria": False,
}  # fmt: skip

_TEXT = {"type": "text", "baseline": "middle", "fontSize": 13, "fontWeight": 600}

Row = dict[str, Any]


def accuracy_chart(results: Results) -> str:
    """Accuracy against mean context tokens: a line over the budgets for each memory, one point for the others."""
    rows = [_row(point, point["context_tokens"], "accuracy") for point in results["points"]]
    placed = [row for row in rows if row["x"] > 0]
    # The names of the lines need room before the first point, those of the other points above and around them.
    low, high = min(row["x"] for row in placed) / 2.5, max(row["x"] for row in placed) * 1.5
    domain = (low, high, min(100, 10 * math.ceil(max(row["high"] for row in rows) / 10) + 10))
    axes = _axes("mean context tokens (log scale)", ticks(low, high), "accuracy, %", domain)
    floor = [{**row, "x": low, "name": f"{row['name']}: no context (control)"} for row in rows if row["x"] == 0]
    alone = [row for row in placed if not row["line"]]
    lines = [row for row in placed if row["line"]]
    layers = [*_dashes(floor, axes), *_lines(lines, axes, domain, names="left"), *_alone(alone, axes)]
    note = f"Reader: {results['reader']}, judge: {results['judge']}. Bands and bars are 95 % intervals. Up and left is better."
    return _figure(results, "Accuracy against context tokens", note, layers)


def recall_chart(results: Results) -> str:
    """Evidence recall against the token budget, for each memory that the budget limits."""
    rows = [_row(point, point["budget"], "evidence_recall") for point in results["points"]]
    rows = [row for row in rows if row["line"]]
    budgets = sorted({row["x"] for row in rows})
    domain = (budgets[0] / 1.12, budgets[-1] * 2.2, 100.0)  # the names need room behind the last budget
    axes = _axes("token budget (log scale)", budgets, "evidence recall, %", domain)
    note = "Share of a question's evidence turns that the context contains. Bands are 95 % intervals."
    return _figure(results, "Evidence recall against token budget", note, _lines(rows, axes, domain, names="right"))


def _row(point: Point, x: float, measure: Literal["accuracy", "evidence_recall"]) -> Row:
    low, high = point["accuracy_ci"] if measure == "accuracy" else point["evidence_recall_ci"]
    shares = {"y": point[measure], "low": low, "high": high}
    line = point["within_budget"] and not point["control"]
    return {"name": point["backend"], "x": x, "line": line, "control": point["control"]} | {
        name: 100 * share for name, share in shares.items()
    }


def _axes(x_title: str, x_ticks: Sequence[float], y_title: str, domain: tuple[float, float, float]) -> Row:
    """The encoding of both axes; `domain` is the lowest x, the highest x and the highest y."""
    left, right, top = domain
    return {
        "x": {
            "field": "x", "type": "quantitative", "title": x_title,
            "scale": {"type": "log", "domain": [left, right], "nice": False},
            "axis": {"values": list(x_ticks), "format": ",~g"},
        },
        "y": {
            "field": "y", "type": "quantitative", "title": y_title,
            "scale": {"domain": [0, top], "nice": False},
            "axis": {"tickCount": 6},
        },
    }  # fmt: skip


def _lines(
    rows: Sequence[Row], axes: Row, domain: tuple[float, float, float], *, names: Literal["left", "right"]
) -> list[Row]:
    """For each backend a line with its interval as a band, and its name at one end."""
    backends = dict.fromkeys(row["name"] for row in rows)
    colours = {backend: f"var(--c{number % _SERIES + 1})" for number, backend in enumerate(backends)}
    values = [{**row, "colour": colours[row["name"]]} for row in rows]
    series = {"detail": {"field": "name"}, "color": _colour()}
    ends = {row["name"]: row for row in sorted(values, key=lambda row: row["x"], reverse=names == "left")}
    return [
        {
            "data": {"values": values},
            "mark": {"type": "area", "opacity": 0.13},
            "encoding": {**axes, **series, "y": {**axes["y"], "field": "low"}, "y2": {"field": "high"}},
        },
        {
            "data": {"values": values},
            "mark": {"type": "line", "strokeWidth": 2.25, "strokeJoin": "round"},
            "encoding": {**axes, **series},
        },
        {
            "data": {"values": values},
            "mark": {"type": "point", "filled": True, "size": 46, "opacity": 1},
            "encoding": {**axes, **series},
        },
        *_names(list(ends.values()), axes, domain, names),
    ]


def _names(
    ends: Sequence[Row], axes: Row, domain: tuple[float, float, float], side: Literal["left", "right"]
) -> list[Row]:
    """The names beside the end points, moved apart where they would overlap, each tied to its line."""
    left, right, top = domain
    ordered = sorted(ends, key=lambda row: row["y"])
    heights = spread([row["y"] for row in ordered], _NAME_HEIGHT / _HEIGHT * top, top)
    pixel = (right / left) ** ((1 if side == "right" else -1) / _WIDTH)  # the factor on x that is one pixel outwards
    edge = (max if side == "right" else min)(row["x"] for row in ends)
    names = [{**row, "x": edge * pixel**30, "y": height} for row, height in zip(ordered, heights, strict=True)]
    ties = [
        {"name": row["name"], "colour": row["colour"], "x": x, "y": y}
        for row, height in zip(ordered, heights, strict=True)
        for x, y in ((row["x"] * pixel**6, row["y"]), (edge * pixel**26, height))
    ]
    return [
        {
            "data": {"values": ties},
            "mark": {"type": "line", "strokeWidth": 1, "opacity": 0.6},
            "encoding": {**axes, "detail": {"field": "name"}, "color": _colour()},
        },
        _text(names, axes, align="left" if side == "right" else "right"),
    ]


def spread(heights: Sequence[float], gap: float, top: float) -> list[float]:
    """Ascending heights moved as little as possible until neighbours are `gap` apart and the last is below `top`.

    Heights that collide form a group, which is centred on the mean of its members.
    """
    groups: list[list[float]] = []
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and _first(groups[-1], gap, top) - _last(groups[-2], gap, top) < gap:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_first(group, gap, top) + gap * place for group in groups for place in range(len(group))]


def _first(group: Sequence[float], gap: float, top: float) -> float:
    return min(sum(group) / len(group) - gap * (len(group) - 1) / 2, top - gap * (len(group) - 0.5))


def _last(group: Sequence[float], gap: float, top: float) -> float:
    return _first(group, gap, top) + gap * (len(group) - 1)


def _alone(rows: Sequence[Row], axes: Row) -> list[Row]:
    """Backends that no budget limits: a point, its interval as a bar, its name above the bar."""
    values = [{**row, "colour": "var(--control)" if row["control"] else "var(--ink)"} for row in rows]
    values = [{**row, "name": f"{row['name']} (control)" if row["control"] else row["name"]} for row in values]
    bar = {**axes, "y": {**axes["y"], "field": "low"}, "y2": {"field": "high"}, "color": _colour()}
    names = [{**row, "y": row["high"]} for row in values]
    return [
        {"data": {"values": values}, "mark": {"type": "rule", "strokeWidth": 2}, "encoding": bar},
        {
            "data": {"values": values},
            "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
            "encoding": {**axes, "color": _colour()},
        },
        _text(names, axes, align="center", dy=-11),
    ]


def _dashes(rows: Sequence[Row], axes: Row) -> list[Row]:
    """Backends without any context: a logarithmic axis has no 0, so a dashed line marks their accuracy."""
    values = [{**row, "colour": "var(--control)"} for row in rows]
    dashed = {"type": "rule", "strokeDash": [4, 4], "strokeWidth": 1.5}
    return [
        {"data": {"values": values}, "mark": dashed, "encoding": {"y": axes["y"], "color": _colour()}},
        _text(values, axes, align="left", dx=6, dy=-10),
    ]


def _text(rows: Sequence[Row], axes: Row, **mark: Any) -> Row:
    encoding = {**axes, "text": {"field": "name"}, "color": _colour()}
    return {"data": {"values": rows}, "mark": {**_TEXT, **mark}, "encoding": encoding}


def _colour() -> Row:
    return {"field": "colour", "type": "nominal", "scale": None}


def _figure(results: Results, title: str, note: str, layers: Sequence[Row]) -> str:
    count, ids = len(results["conversations"]), results["conversations"]
    which = ", ".join([ids[0], *(name.removeprefix("conv-") for name in ids[1:])]) + "; " if count <= 6 else ""
    number = _NUMBERS[count].capitalize() if count < len(_NUMBERS) else f"{count:,}"
    scored = f"{results['questions']:,} questions, {results['scored']:,} of them scored"
    subtitle = [f"{number} LoCoMo conversations ({which}{scored}).", note]
    spec = {
        "width": _WIDTH, "height": _HEIGHT, "padding": 18, "background": "var(--card)", "layer": list(layers),
        "config": _CONFIG,
        "title": {
            "text": title, "subtitle": subtitle, "anchor": "start", "frame": "group", "offset": 16,
            "fontSize": 17, "fontWeight": 600, "color": "var(--ink)",
            "subtitleFontSize": 12.5, "subtitleColor": "var(--muted)", "subtitlePadding": 6, "subtitleLineHeight": 17,
        },
    }  # fmt: skip
    return _themed(vl_convert.vegalite_to_svg(spec, vl_version="6.1"), f"{title}. {' '.join(subtitle)}")


def _themed(image: str, description: str) -> str:
    """The SVG with light colours as attributes, and a style sheet that replaces them where the reader prefers dark.

    Programs that ignore style sheets show the light colours.
    """
    rules = []
    for name, (light, dark) in _PALETTE.items():
        image = image.replace(f"var(--{name})", light)
        rules.append(f'[fill="{light}"]{{fill:{dark}}}[stroke="{light}"]{{stroke:{dark}}}')
    style = f"<style>@media (prefers-color-scheme: dark){{{''.join(rules)}}}</style>"
    start = image.index(">", image.index("<svg")) + 1
    opening = image[: start - 1] + ' role="img">'
    return f"{opening}<title>{escape(description)}</title>{style}{image[start:]}\n"


def dark(image: str) -> str:
    """The SVG as the dark theme shows it, for programs that ignore style sheets."""
    for light, replacement in _PALETTE.values():
        image = image.replace(f'"{light}"', f'"{replacement}"')
    return image
