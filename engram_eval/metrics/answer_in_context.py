"""Answer in context: whether all content words of the gold answer are in the context."""

from __future__ import annotations

from engram_eval.language.words import content_stems
from engram_eval.metrics.evidence import share_present
from engram_eval.metrics.measure import Measure
from engram_eval.results.record import Record
from engram_eval.tables.numbers import share


def answer_in_context(gold: str, context: str) -> bool | None:
    """Whether all content stems of the gold answer are in the context; None if it has none ("Yes")."""
    return share_present(gold, context) == 1.0 if content_stems(gold) else None


def _value(record: Record) -> float | None:
    return float(record.answer_in_context) if record.answerable and record.answer_in_context is not None else None


ANSWER_IN_CONTEXT = Measure(
    "answer_in_context", "answer in context", _value, share, "high", "mean", "context", unit="0 or 1", gate="difference"
)
