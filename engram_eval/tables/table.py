"""A table: columns that find and show a value of each row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

_MISSING = "–"
Row = dict[str, Any]
"""One backend of a summary, with the name that it is shown by under "backend"."""


@dataclass(frozen=True, slots=True)
class Column:
    """`value` finds the number in a row, None if there is none; `show` renders it; `best` says which end is good."""

    name: str
    value: Callable[[Row], Any]
    show: Callable[[Any], str]
    best: Literal["high", "low"] | None = None


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: list[Column]
    rows: list[Row]
    ranked: Callable[[Row], bool]
    """Which rows compete for being marked as best."""

    def cells(self) -> list[list[tuple[str, bool]]]:
        """Rendered cells by row, each with whether it is the best of its column."""
        out = []
        best = {column.name: self._best(column) for column in self.columns}
        for row in self.rows:
            line = []
            for column in self.columns:
                value = column.value(row)
                shown = _MISSING if value is None else column.show(value)
                line.append((shown, shown != _MISSING and self.ranked(row) and shown == best[column.name]))
            out.append(line)
        return out

    def _best(self, column: Column) -> str | None:
        """As rendered, so that what looks equal is marked alike; None where there is nothing to choose between."""
        values = [v for row in self.rows if self.ranked(row) and (v := column.value(row)) is not None]
        if column.best is None or len(values) < 2:
            return None
        return column.show(max(values) if column.best == "high" else min(values))
