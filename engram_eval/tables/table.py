"""A table: rows of any type, and columns that each take a value from a row and render it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar

Row = TypeVar("Row")

MISSING = "–"


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """`value` returns a row's value or None, `show` renders it, and `better` is whether high or low values are better."""

    name: str
    value: Callable[[Row], Any]
    show: Callable[[Any], str]
    better: Literal["high", "low"] | None = None


class Cell(NamedTuple):
    text: str
    best: bool
    """Whether it is the best value of its column."""


def no_row_competes(_row: object) -> bool:
    """For tables whose values have no best."""
    return False


@dataclass(frozen=True, slots=True)
class Table(Generic[Row]):
    """`competes`: which rows may be marked as the best of a column."""

    title: str
    columns: Sequence[Column[Row]]
    rows: Sequence[Row]
    competes: Callable[[Row], bool] = no_row_competes

    def cells(self) -> list[list[Cell]]:
        """Rendered cells, row by row."""
        best = [self._best(column) for column in self.columns]
        return [
            [self._cell(row, column, best_text) for column, best_text in zip(self.columns, best, strict=True)]
            for row in self.rows
        ]

    def _cell(self, row: Row, column: Column[Row], best: str | None) -> Cell:
        value = column.value(row)
        if value is None:
            return Cell(MISSING, best=False)
        text = column.show(value)
        return Cell(text, best=text == best and self.competes(row))

    def _best(self, column: Column[Row]) -> str | None:
        """The best value as rendered, so that all cells with that text are marked; None if fewer than two values compete."""
        values = [value for row in self.rows if self.competes(row) and (value := column.value(row)) is not None]
        if column.better is None or len(values) < 2:
            return None
        return column.show(max(values) if column.better == "high" else min(values))
