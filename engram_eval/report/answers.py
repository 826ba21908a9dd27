"""What the page shows of one record: whether the answer is right, what was retrieved, and why it may be wrong.

Texts are kept in pools and referred to by number. The values of the enumerations are read by page.js.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple

from engram_eval.metrics.failure_stage import FailureStage
from engram_eval.report.text import TextPool
from engram_eval.results.record import Record

NO_TEXT = -1
"""In place of a text's number."""


class Outcome(StrEnum):
    RIGHT = "r"
    WRONG = "w"
    ERROR = "e"
    NOT_JUDGED = "n"
    NOT_ASKED = "-"


class EvidenceState(IntEnum):
    """The last stage that an evidence turn reached."""

    NOT_STORED = 0
    NOT_RETRIEVED = 1
    CUT = 2
    IN_CONTEXT = 3
    UNKNOWN = 4


class PageQuestion(NamedTuple):
    """Questions of two runs are the same only if all of this is equal, not just their ids. All but the last are numbers of
    texts."""

    id: int
    conversation: int
    category: int
    text: int
    gold: int
    unanswerable: bool


@dataclass(frozen=True, slots=True)
class AnswerSummary:
    """What the list of questions shows, filters and searches."""

    outcome: Outcome
    answer: int
    failure_stage: FailureStage | None


@dataclass(frozen=True, slots=True)
class AnswerDetails:
    """What an open question shows. `explanation`: the judge's reason, or the error. Times are in seconds."""

    explanation: int
    votes: tuple[bool, ...]
    f1: float | None
    context_tokens: int | None
    retrieval_s: float | None
    answer_s: float | None
    evidence: tuple[int, ...]
    evidence_states: tuple[EvidenceState, ...]
    retrieved: tuple[int, ...]
    cut: bool
    context: int
    """A number of `ContextLines`."""


def question_of(record: Record, texts: TextPool, categories: TextPool) -> PageQuestion:
    return PageQuestion(
        texts.add(record.question_id),
        texts.add(record.conversation_id),
        categories.add(record.category),
        texts.add(record.question),
        texts.add(record.gold),
        record.unanswerable,
    )


def summary_of(record: Record, failure_stage: FailureStage | None, texts: TextPool) -> AnswerSummary:
    answer = NO_TEXT if record.answer is None else texts.add(record.answer)
    return AnswerSummary(outcome_of(record), answer, failure_stage)


def outcome_of(record: Record) -> Outcome:
    """An errored answer and one that no judge graded are neither right nor wrong."""
    if record.status == "error":
        return Outcome.ERROR
    if record.correct is None:
        return Outcome.NOT_JUDGED
    return Outcome.RIGHT if record.correct else Outcome.WRONG


def details_of(record: Record, context: int, texts: TextPool) -> AnswerDetails:
    reason = record.judge.reason if record.judge else None
    explanation = record.error if record.status == "error" else reason
    return AnswerDetails(
        explanation=texts.add(explanation) if explanation else NO_TEXT,
        votes=record.votes if len(record.votes) > 1 else (),
        f1=_rounded(record.f1, 3),
        context_tokens=record.context_tokens,
        retrieval_s=_rounded(record.retrieval_s, 6),
        answer_s=_rounded(record.answer_s, 6),
        evidence=tuple(map(texts.add, record.evidence)),
        evidence_states=tuple(evidence_state(record, turn_id) for turn_id in record.evidence),
        retrieved=tuple(map(texts.add, record.retrieved)),
        cut=record.cut,
        context=context,
    )


def evidence_state(record: Record, turn_id: str) -> EvidenceState:
    if record.evidence_recall is None:
        return EvidenceState.UNKNOWN
    if turn_id in record.evidence_found:
        return EvidenceState.IN_CONTEXT
    if turn_id in record.evidence_truncated:
        return EvidenceState.CUT
    return EvidenceState.NOT_RETRIEVED if turn_id in record.evidence_stored else EvidenceState.NOT_STORED


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)
