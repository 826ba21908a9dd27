"""Why an answer is wrong, from its record alone: the stage at which what it takes was lost.

    said, not stored -> stored, not recalled -> recalled, cut by the budget -> recalled, not used by the reader

Where several evidence turns are missing, the first stage that lost one counts: mending a later one would not help. An
answer that the judge may have wronged is set aside first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from engram_eval.errors import UserError
from engram_eval.results.record import Record

_WHOLE_ANSWER = 0.8  # official F1 of an answer that has nearly all of the gold's words and few others


class FailureStage(StrEnum):
    """In the order in which tables show them."""

    NOT_STORED = "not stored"
    NOT_RECALLED = "stored, not recalled"
    CUT = "recalled, cut by the budget"
    NOT_USED = "recalled, not used by the reader"
    NOT_ABSTAINED = "answered what cannot be answered"
    IN_DOUBT = "judge or key in doubt"


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """Known errors of an answer key: the reason by question id. `path` is where they come from."""

    path: Path | None = None
    reasons: Mapping[str, str] | None = None

    def of(self, question_id: str) -> str | None:
        return (self.reasons or {}).get(question_id)


def failure_stage(record: Record, label_errors: LabelErrors | None = None) -> FailureStage | None:
    """None for an answer that is right or errored.

    In doubt is a verdict that its votes did not agree on, one against an answer that has nearly all of the gold's words
    (LoCoMo's F1 of 0.8), and any on a question whose key is known to be wrong.
    """
    if record.status != "ok" or record.correct is not False:
        return None
    votes = (record.judge or {}).get("votes", ())
    known = label_errors.of(record.question_id) if label_errors else None
    if known or len(set(votes)) > 1 or (not record.unanswerable and (record.f1 or 0.0) >= _WHOLE_ANSWER):
        return FailureStage.IN_DOUBT
    if record.unanswerable:
        return FailureStage.NOT_ABSTAINED
    if not record.evidence:  # nothing is labelled: go by the gold's words
        return FailureStage.NOT_USED if record.answer_in_context else FailureStage.NOT_RECALLED
    missing = [turn_id for turn_id in record.evidence if turn_id not in record.evidence_found]
    if not missing:
        return FailureStage.NOT_USED
    if any(turn_id not in record.evidence_stored for turn_id in missing):
        return FailureStage.NOT_STORED
    if any(turn_id not in record.evidence_truncated for turn_id in missing):
        return FailureStage.NOT_RECALLED
    return FailureStage.CUT


def read_label_errors(path: Path) -> LabelErrors:
    """Reads a JSON list of objects with `question_id` and a reason (`reason`, `reasoning`, `error_type` or `type`).

    An error that touches only the citation (`WRONG_CITATION`) does not touch the score, and is left aside. Raises
    UserError for a file that is none.
    """
    try:
        entries = json.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); name a file of known key errors") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path}: not JSON; give it a list of objects with question_id and reason") from None
    if not isinstance(entries, list):
        raise UserError(f"{path}: not a list; give it a list of objects with question_id and reason")
    reasons = {}
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get("question_id"), str):
            raise UserError(f"{path}: entry {number} has no question_id; give it one, such as conv-26:q0")
        kind = str(entry.get("error_type") or entry.get("type") or "")
        if kind != "WRONG_CITATION":
            reason = entry.get("reason") or entry.get("reasoning") or kind or "known error"
            reasons[entry["question_id"]] = str(reason)
    return LabelErrors(path, reasons)
