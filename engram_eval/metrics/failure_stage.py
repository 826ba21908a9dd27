"""Why an answer is wrong, from its record alone: the stage at which the evidence was lost.

    not stored -> stored, not retrieved -> retrieved, cut by the budget -> retrieved, not used by the reader

If several evidence turns are missing, the first stage that lost one counts, because fixing a later stage would not help. An
answer that the judge may have graded wrongly has a stage of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from engram_eval.errors import UserError
from engram_eval.results.folder import RunFolder
from engram_eval.results.record import Record
from engram_eval.system.file_format import HEAD, refuse_other_formats
from engram_eval.system.files import read_bytes
from engram_eval.system.validation import validate_json

_NEARLY_GOLD = 0.8  # F1 of an answer that has nearly all of the gold's words and few others


class FailureStage(StrEnum):
    """In the order in which tables show them."""

    NOT_STORED = "not stored"
    NOT_RETRIEVED = "stored, not retrieved"
    CUT = "retrieved, cut by the budget"
    NOT_USED = "retrieved, not used by the reader"
    NOT_ABSTAINED = "answered an unanswerable question"
    IN_DOUBT = "judge or answer key in doubt"


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """Known errors of an answer key: reasons by question id. `path` is the file they come from."""

    path: Path | None = None
    reasons: Mapping[str, str] | None = None

    def reason(self, question_id: str) -> str | None:
        return (self.reasons or {}).get(question_id)


def failure_stage(record: Record, label_errors: LabelErrors | None = None) -> FailureStage | None:
    """The stage at which a wrong answer was lost; None for an answer that is right or errored.

    A verdict is in doubt if its votes differ, if it rejects an answer with nearly all of the gold's words (an F1 of 0.8), or
    if the question's answer key is known to be wrong.
    """
    if record.status != "ok" or record.correct is not False:
        return None
    label_error = label_errors.reason(record.question_id) if label_errors else None
    nearly_gold = record.answerable and (record.f1 or 0.0) >= _NEARLY_GOLD
    if label_error or len(set(record.votes)) > 1 or nearly_gold:
        return FailureStage.IN_DOUBT
    if record.unanswerable:
        return FailureStage.NOT_ABSTAINED
    if not record.evidence:  # no evidence labels: use the gold's words instead
        return FailureStage.NOT_USED if record.answer_in_context else FailureStage.NOT_RETRIEVED
    missing = [turn_id for turn_id in record.evidence if turn_id not in record.evidence_found]
    if not missing:
        return FailureStage.NOT_USED
    if any(turn_id not in record.evidence_stored for turn_id in missing):
        return FailureStage.NOT_STORED
    if any(turn_id not in record.evidence_truncated for turn_id in missing):
        return FailureStage.NOT_RETRIEVED
    return FailureStage.CUT


def find_failures(
    run: RunFolder,
    *,
    backend: str | None = None,
    stage: str | None = None,
    category: str | None = None,
    known: LabelErrors | None = None,
) -> list[tuple[Record, FailureStage]]:
    """The wrong answers of a run with their stages, in the order of the records.

    `backend`: default all but the controls. `category`: default those of the headline. `stage`: the beginning of a stage's
    name. Raises UserError for a name that does not exist.
    """
    manifest = run.manifest()
    if backend and backend not in manifest.backends:
        raise UserError(f"{run.path}: has no backend {backend!r}; it has {', '.join(manifest.backends)}")
    stages = [name for name in FailureStage if name.startswith(stage or "")]
    if not stages:
        raise UserError(f"--stage {stage!r}: is not one of {', '.join(FailureStage)}")
    if category and category not in manifest.dataset.categories:
        raise UserError(f"--category {category!r}: is not one of {', '.join(manifest.dataset.categories)}")
    categories = [category] if category else manifest.dataset.headline
    memories = [label for label, entry in manifest.backends.items() if not entry.control]
    labels = [backend] if backend else memories
    return [
        (record, failed_at)
        for record in run.records()
        if record.backend in labels
        and record.category in categories
        and (failed_at := failure_stage(record, known)) in stages
        and failed_at is not None
    ]


def read_label_errors(path: Path) -> LabelErrors:
    """Reads a JSON list of objects with `question_id` and a reason (`reason`, `reasoning`, `error_type` or `type`).

    Entries of type `WRONG_CITATION` are skipped: they do not change the score. Raises UserError for any other file.
    """
    content = read_bytes(path, fix="name a file of label errors")
    fix = "give it a JSON list of objects with question_id and reason"
    refuse_other_formats(path, content[:HEAD])
    entries = validate_json(list[dict[str, Any]], content, where=str(path), fix=fix)
    reasons = {}
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry.get("question_id"), str):
            raise UserError(f"{path}: entry {number} has no question_id; give it one, such as conv-26:q0")
        kind = str(entry.get("error_type") or entry.get("type") or "")
        if kind != "WRONG_CITATION":
            reason = entry.get("reason") or entry.get("reasoning") or kind or "known error"
            reasons[entry["question_id"]] = str(reason)
    return LabelErrors(path, reasons)
