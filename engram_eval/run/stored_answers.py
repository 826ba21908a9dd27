"""The answers that a finished run has on disk, as a source of answers: they are judged again, and nothing else is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from engram_eval.results.contexts import Contexts
from engram_eval.results.folder import RunFolder
from engram_eval.results.record import Record, RecordKey
from engram_eval.run.answer_source import SourceAnswer, Workspace
from engram_eval.types import Conversation, Question

_OF_QUESTION = {"category", "unanswerable", "question", "gold", "evidence", "evidence_sessions"}
_OF_JUDGE = {"answer", "status", "error", "correct", "judge", "judge_s", "f1"}
_KEPT = Record.model_fields.keys() - RecordKey.model_fields.keys() - _OF_QUESTION - _OF_JUDGE
"""The fields that a record keeps whoever judges its answer: context, evidence, tokens, times and cost."""


@dataclass(frozen=True, slots=True)
class StoredAnswers:
    """The answers of one backend. `records`: by question id."""

    run: RunFolder
    records: Mapping[str, Record]
    overlaps: ClassVar[bool] = False

    def missing(self, question: Question) -> str | None:
        record = self.records.get(question.id)
        if record is None:
            return f"no answer in {self.run.path}, which is unfinished"
        return f"no answer in {self.run.path}: {record.error}" if record.answer is None else None

    async def open(self, conversation: Conversation, workspace: Workspace) -> _OpenStored:  # noqa: ARG002 - not asked
        return _OpenStored(self, self.run.contexts(), workspace.contexts)


class _OpenStored:
    fields: Mapping[str, Any] = {}

    def __init__(self, source: StoredAnswers, stored: Contexts, kept: Contexts) -> None:
        self._source, self._stored, self._kept = source, stored, kept

    async def retrieve(self, question: Question) -> Record:
        record = self._source.records[question.id]
        for key in (record.context, record.evidence_text):
            if (text := self._stored.get(key)) is not None:
                self._kept.put(text)
        return record

    async def answer(self, question: Question, retrieved: Record) -> SourceAnswer:  # noqa: ARG002 - it is known
        return SourceAnswer(retrieved.answer or "", {name: getattr(retrieved, name) for name in _KEPT})

    async def close(self) -> None:
        self._stored.close()


def stored_answers(run: RunFolder) -> dict[str, StoredAnswers]:
    """The answers of a run by backend, in the order of its table."""
    records: dict[str, dict[str, Record]] = {label: {} for label in run.manifest().backends}
    for record in run.records():
        records.setdefault(record.backend, {})[record.question_id] = record
    return {label: StoredAnswers(run, of_backend) for label, of_backend in records.items()}
