"""Answers made elsewhere, as a source of answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from engram_eval.language.reasoning import without_reasoning
from engram_eval.language.tokens import TokenCounter
from engram_eval.run.answer_file import Answers, RecordedAnswer
from engram_eval.run.answer_source import SourceAnswer, Workspace, context_fields
from engram_eval.types import Context, Conversation, Question


@dataclass(frozen=True, slots=True)
class RecordedAnswers:
    """The answers of a file. A question without an answer is an error, and never a wrong answer."""

    answers: Answers
    tokens: TokenCounter
    overlaps: ClassVar[bool] = False

    def missing(self, question: Question) -> str | None:
        return None if question.id in self.answers.by_id else f"no answer in {self.answers.origin}"

    async def open(self, conversation: Conversation, workspace: Workspace) -> _OpenAnswers:
        return _OpenAnswers(self, conversation, workspace)


class _OpenAnswers:
    fields: Mapping[str, Any] = {}

    def __init__(self, source: RecordedAnswers, conversation: Conversation, workspace: Workspace) -> None:
        self._source = source
        self._turns = {turn.id: turn for session in conversation.sessions for turn in session.turns}
        self._workspace = workspace

    async def retrieve(self, question: Question) -> SourceAnswer:
        answer = self._source.answers.by_id[question.id]
        text = without_reasoning(answer.text)
        fields = {**answer.figures, **self._context_fields(question, answer), "reasoning_removed": text != answer.text}
        return SourceAnswer(text, fields)

    async def answer(self, question: Question, retrieved: SourceAnswer) -> SourceAnswer:  # noqa: ARG002 - it is known
        return retrieved

    async def close(self) -> None: ...

    def _context_fields(self, question: Question, answer: RecordedAnswer) -> dict[str, Any]:
        """What can be measured if the context is known. It names no turns, so evidence is found by its text."""
        if answer.context is None:
            return {}
        of_context = context_fields(
            question,
            self._turns,
            Context(answer.context),
            tokens=self._source.tokens,
            contexts=self._workspace.contexts,
        )
        return {**of_context, "evidence_stored": question.evidence}  # what the memory holds is unknown
