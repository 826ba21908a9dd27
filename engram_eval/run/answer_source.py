"""What a source of answers is: the part of a run that differs between memories and answers made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from engram_eval.language.tokens import TokenCounter
from engram_eval.metrics.answer_in_context import answer_in_context
from engram_eval.metrics.evidence import evidence_found
from engram_eval.results.contexts import Contexts
from engram_eval.types import Context, Conversation, Question, Turn


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where a source writes during one conversation."""

    folder: Path
    """For the files of a memory; it need not exist."""
    contexts: Contexts
    """`put` keeps a context and returns its key."""
    warn: Callable[[Sequence[str]], None]
    """Reports what went wrong without stopping the work."""


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """An answer, and the fields of its record that the source knows."""

    text: str
    fields: Mapping[str, Any]


class OpenSource(Protocol):
    """A source that is ready for the questions about one conversation."""

    fields: Mapping[str, Any]
    """The fields that all records of the conversation share, such as the time of ingestion."""

    async def retrieve(self, question: Question) -> Any:
        """Gets what the answer is made from. Called for one question at a time, so that it can be timed."""
        ...

    async def answer(self, question: Question, retrieved: Any) -> SourceAnswer:
        """Answers from what `retrieve` returned. Calls may overlap."""
        ...

    async def close(self) -> None: ...


class AnswerSource(Protocol):
    """Where the answers of one backend come from."""

    @property
    def overlaps(self) -> bool:
        """Whether conversations may be opened ahead of their turn, because opening waits for the calls of a model."""
        ...

    def missing(self, question: Question) -> str | None:
        """Why the source cannot answer the question at all, in words; None if it can."""
        ...

    async def open(self, conversation: Conversation, workspace: Workspace) -> OpenSource:
        """Prepares for questions about a conversation: a memory ingests it."""
        ...


def context_fields(
    question: Question, turns: Mapping[str, Turn], context: Context, *, tokens: TokenCounter, contexts: Contexts
) -> dict[str, Any]:
    """The fields of a record that follow from the context as it was sent to the reader. Keeps the context."""
    in_context = evidence_found(question, turns, context)
    return {
        "context_tokens": tokens.count(context.text),
        "evidence_recall": len(in_context) / len(question.evidence) if question.evidence else None,
        "evidence_all": len(in_context) == len(question.evidence) if question.evidence else None,
        "evidence_found": tuple(in_context),
        "answer_in_context": None if question.unanswerable else answer_in_context(question.gold, context.text),
        "context": contexts.put(context.text),
    }
