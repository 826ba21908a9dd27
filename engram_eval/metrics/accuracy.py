"""Accuracy: the share of answers that the judge accepts."""

from __future__ import annotations

from engram_eval.metrics.measure import Measure
from engram_eval.results.record import Record
from engram_eval.tables.numbers import percent


def _correct(record: Record) -> float | None:
    return float(bool(record.correct)) if record.scored else None


ACCURACY = Measure(
    "accuracy", "accuracy", _correct, percent, "high", "share", "answers",
    show_interval=True, unit="0 or 1", gate="difference",
)  # fmt: skip
