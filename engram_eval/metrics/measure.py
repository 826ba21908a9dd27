"""A measure is a named value of a record, with everything that a table, a summary or the gate needs to use it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engram_eval.results.record import Record
from engram_eval.tables.numbers import Show

TableName = Literal["answers", "context", "sessions", "time"]
Unit = Literal["0 or 1", "share", "count", "seconds", "dollars"]


@dataclass(frozen=True, slots=True)
class Measure:
    """To add a measure, write it in a file of this folder and list it in `measures.py`.

    - `name`: its key in `summary.json`, in gate rules and in baselines. `heading`: its column heading.
    - `value`: the record's value in `unit`; None where the measure does not apply (an errored or an unanswerable
      question, for example). A share is from 0 to 1.
    - `show`: how tables print a value. `better`: whether high or low values are better; None if neither.
    - `summary`: how questions are summarised: a `share` by its mean with a 95 % interval, a `mean` without one, a `spread` by
      mean, p50 and p95; None leaves it out of the summary.
    - `table`: the result table that has its column, if any, and `show_interval` whether a column with the interval follows.
    - `gate`: whether gate rules can use it, and what they compare: the mean `difference` of the questions, or the mean `ratio`
      (then a rule names it `NAME_ratio`). A rise is a loss unless `better` is `high`.
    """

    name: str
    heading: str
    value: Callable[[Record], float | None]
    show: Show
    better: Literal["high", "low"] | None = None
    summary: Literal["share", "mean", "spread"] | None = "mean"
    table: TableName | None = None
    show_interval: bool = False
    unit: Unit = "share"
    gate: Literal["difference", "ratio"] | None = None

    def __str__(self) -> str:
        return self.name
