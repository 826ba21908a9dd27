"""Evidence recall, measured on the context as it was sent to the reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from engram_eval.language.words import content_stems, stems
from engram_eval.metrics.measure import Measure
from engram_eval.results.record import Record
from engram_eval.tables.numbers import share
from engram_eval.types import Context, Question, Turn

# A shortened turn may still hold the answer; a turn that lost more than a fifth of its words counts as gone (DESIGN section 5).
_VERBATIM_SHARE = 0.8


def evidence_found(question: Question, turns: Mapping[str, Turn], context: Context) -> list[str]:
    """Ids of the question's evidence turns that are in the context: those that its items name (`NamedTurns.held`).

    For a context that names no turns, those of which at least 80 % of the content stems are in the text.
    """
    if named := set(context.turn_ids):
        return [turn_id for turn_id in question.evidence if turn_id in named]
    return [turn_id for turn_id in question.evidence if contains_turn(turns[turn_id], context.text)]


def contains_turn(turn: Turn, text: str) -> bool:
    """Whether the text contains the turn, whole or nearly so."""
    return share_present(turn.text, text) >= _VERBATIM_SHARE


def evidence_states(record: Record) -> dict[str, list[str]]:
    """The evidence turns of a record by their state, in words; states without turns are left out."""
    reached = {*record.evidence_found, *record.evidence_truncated}
    states = {
        "in the context": list(record.evidence_found),
        "retrieved, cut by the budget": list(record.evidence_truncated),
        "not retrieved": [turn_id for turn_id in record.evidence_stored if turn_id not in reached],
        "not stored": [turn_id for turn_id in record.evidence if turn_id not in record.evidence_stored],
    }
    return {state: turn_ids for state, turn_ids in states.items() if turn_ids}


def mark_evidence(context: str, evidence: Sequence[str]) -> list[tuple[str, bool]]:
    """The lines of a context, each with whether it contains one of the evidence texts, whole or nearly so."""
    turns = [Turn("", "", text) for text in evidence]
    return [(line, any(contains_turn(turn, line) for turn in turns)) for line in context.splitlines()]


def share_present(part: str, whole: str) -> float:
    """The share of distinct content stems of `part` that occur in `whole`; of all its stems if it has no content stems."""
    if part_stems := _content_stems_of_part(part):
        return len(part_stems & _content_stems_of_whole(whole)) / len(part_stems)
    if all_stems := set(stems(part)):
        return len(all_stems & set(stems(whole))) / len(all_stems)
    return float(bool(part) and part in whole)


@lru_cache(maxsize=4)  # the full history is one context for all questions of its conversation
def _content_stems_of_whole(text: str) -> frozenset[str]:
    return frozenset(content_stems(text))


@lru_cache(maxsize=10_000)  # the turns of a conversation are looked for in every context
def _content_stems_of_part(text: str) -> frozenset[str]:
    return frozenset(content_stems(text))


def _recall(record: Record) -> float | None:
    return record.evidence_recall if record.answerable else None


def _all(record: Record) -> float | None:
    return float(record.evidence_all) if record.answerable and record.evidence_all is not None else None


def _claimed(record: Record) -> float | None:
    return record.evidence_claimed if record.answerable else None


EVIDENCE_RECALL = Measure(
    "evidence_recall", "evidence recall", _recall, share, "high", "share", "context",
    show_interval=True, gate="difference",
)  # fmt: skip
"""The share of a question's evidence turns that are in the context, over answerable questions that have evidence."""

EVIDENCE_ALL = Measure(
    "evidence_all", "all evidence", _all, share, "high", "share", "context", unit="0 or 1", gate="difference"
)
"""Whether all of a question's evidence turns are in the context."""

EVIDENCE_CLAIMED = Measure("evidence_claimed", "claimed", _claimed, share)
"""Of a memory that paraphrases: the share of a question's evidence turns that it names, whether its text holds them or not."""
