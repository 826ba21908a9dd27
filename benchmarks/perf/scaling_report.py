"""Shows the measurements of `scaling.py` as a table, crossing points, a page and a plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import vl_convert

Row = dict[str, Any]  # backend, turns, and the results of `fill_memory` and `measure_retrieval`
LOOK_UP = "look-up p50 ms"
_PANELS = (
    (LOOK_UP, "look-up, median, ms"),
    ("memory MB", "resident memory, MB"),
    ("ingest turns/s", "ingest, turns per second"),
    ("disk MB", "disk, MB"),
)
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#8a6d00")
_WIDTH, _HEIGHT = 300, 210  # pixels
_LABEL = 13  # height of a label in pixels


def cell(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def crossings(rows: Sequence[Row]) -> list[str]:
    """For each two backends, a sentence with the size from which one is faster.

    Medians are interpolated between measured sizes as straight lines of the logarithms. The last of several crossings counts.
    """
    medians: dict[str, dict[int, float]] = {}
    for row in rows:
        medians.setdefault(row["backend"], {})[row["turns"]] = row[LOOK_UP]
    sentences = []
    for a, b in permutations(medians, 2):
        sizes = sorted(medians[a].keys() & medians[b].keys())
        if not sizes:
            continue
        ahead = [math.log(medians[a][size] / medians[b][size]) for size in sizes]  # below 0: a is faster
        if ahead[-1] >= 0:
            continue
        last = max((i for i, value in enumerate(ahead) if value >= 0), default=None)
        if last is None:
            sentences.append(
                f"{a} is faster than {b} at every size measured: they do not cross up to {sizes[-1]:,} turns."
            )
            continue
        share = ahead[last] / (ahead[last] - ahead[last + 1])
        at = math.exp(math.log(sizes[last]) + share * math.log(sizes[last + 1] / sizes[last]))
        sentences.append(f"{a} is faster than {b} from {float(f'{at:.2g}'):,.0f} turns on.")
    return sentences


def growth(rows: Sequence[Row]) -> list[str]:
    """For each backend, a sentence on how much its look-up median grows over the sizes."""
    sentences = []
    for name in dict.fromkeys(row["backend"] for row in rows):
        measured = sorted((row for row in rows if row["backend"] == name), key=lambda row: row["turns"])
        if len(measured) > 1:
            times = measured[-1]["x smallest"]
            sentences.append(
                f"{name}: {times:,.2f} x from {measured[0]['turns']:,} to {measured[-1]['turns']:,} turns."
            )
    return sentences


def page(rows: Sequence[Row], explanation: str, command: str, plot: str | None, note: str = "") -> str:
    """The measurements as Markdown.

    `explanation` describes the columns, `plot` is the relative path of the image, `note` says how the rows were measured.
    """
    heading = list(rows[0])
    lines = [
        "# Look-up time as memory grows", "", "```console", f"$ {command}", "```", "",
        "|".join(["", *(f" {name} " for name in heading), ""]),
        "|".join(["", "---", *["--:"] * (len(heading) - 1), ""]),
        *("|".join(["", *(f" {cell(value)} " for value in row.values()), ""]) for row in rows), "",
    ]  # fmt: skip
    lines += [note, ""] if note else []
    if plot:
        lines += [f"![Look-up, memory, ingest and disk against stored turns]({plot})", ""]
    lines += ["## Crossing points of the look-up medians", "", *(f"- {line}" for line in crossings(rows)), ""]
    lines += ["Growth of the look-up median:", "", *(f"- {line}" for line in growth(rows)), ""]
    return "\n".join([*lines, "## What is measured", "", explanation.strip(), ""])


def draw(rows: Sequence[Row], path: Path) -> None:
    """Four panels with logarithmic axes and a name at the end of each line. Values of 0 (no files) are not drawn."""
    panels = [_panel(rows, column, title) for column, title in _PANELS]
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "background": "white",
        "padding": 10,
        "columns": 2,
        "spacing": 30,
        "concat": panels,
        "config": {"font": "Helvetica, Arial, sans-serif", "view": {"stroke": None}, "axis": {"gridColor": "#e6e6e6"}},
    }
    path.write_text(vl_convert.vegalite_to_svg(spec, vl_version="6.1"), encoding="utf-8")


def _panel(rows: Sequence[Row], column: str, title: str) -> dict[str, Any]:
    names = list(dict.fromkeys(row["backend"] for row in rows))
    drawn = [row for row in rows if row[column] > 0]
    values = [{"name": row["backend"], "turns": row["turns"], "value": row[column]} for row in drawn]
    sizes, heights = [row["turns"] for row in drawn] or [1], [row[column] for row in drawn] or [1]
    low, high = 10 ** math.floor(math.log10(min(heights))), 10 ** math.ceil(math.log10(max(heights)) + 1e-9)
    high = max(high, 10 * low)
    x = {
        "field": "turns", "type": "quantitative", "title": "stored turns",
        "scale": {"type": "log", "domain": [min(sizes), max(max(sizes), 10 * min(sizes))]},
        "axis": {"values": [10**n for n in range(3, 8)], "format": ",.0f"},
    }  # fmt: skip
    y = {
        "field": "value", "type": "quantitative", "title": None, "scale": {"type": "log", "domain": [low, high]},
        "axis": {"format": ",~g", "values": [10**n for n in range(-4, 8)]},
    }  # fmt: skip
    colour = {
        "field": "name", "type": "nominal", "legend": None,
        "scale": {"domain": names, "range": [_COLOURS[i % len(_COLOURS)] for i in range(len(names))]},
    }  # fmt: skip
    encoding = {"x": x, "y": y, "color": colour}
    line = {"data": {"values": values}, "mark": {"type": "line", "point": True, "strokeWidth": 2}, "encoding": encoding}
    text = {
        "data": {"values": _labels(drawn, column, low, high)},
        "mark": {"type": "text", "align": "left", "dx": 8, "fontSize": 11},
        "encoding": {**encoding, "text": {"field": "name"}},
    }
    return {"title": {"text": title, "anchor": "start"}, "width": _WIDTH, "height": _HEIGHT, "layer": [line, text]}


def _labels(rows: Sequence[Row], column: str, low: float, high: float) -> list[Row]:
    """The names of the backends at the right edge, each as near to the end of its line as possible without overlap."""
    if not rows:
        return []
    edge = max(row["turns"] for row in rows)
    last = {row["backend"]: row for row in sorted(rows, key=lambda row: row["turns"])}
    gap = _LABEL / _HEIGHT * math.log(high / low)
    heights: list[float] = []
    ends = sorted(last.items(), key=lambda item: item[1][column])
    for _, row in ends:
        heights.append(max(math.log(row[column]), heights[-1] + gap if heights else -math.inf))
    over = max(0.0, heights[-1] - math.log(high))  # the top label is above the panel: move it and its neighbours down
    for i in range(len(heights) - 1, -1, -1):
        ceiling = heights[-1] - over - gap * (len(heights) - 1 - i)
        heights[i] = min(heights[i], ceiling)
    return [
        {"name": name, "turns": edge, "value": math.exp(height)}
        for (name, _), height in zip(ends, heights, strict=True)
    ]
