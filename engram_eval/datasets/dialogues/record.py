"""The dialogues format: the types of one line. docs/dialogues.schema.json is generated from them (`json_schema`).

A key that may be absent may also be null. Unknown keys are errors: they are mostly misspelled ones.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

_DATE = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?)?$"
NOT_A_DATE = "not a date like 2023-05-08 or 2023-05-08T13:56 (local time, without a zone)"


def parse_date(text: str) -> datetime:
    """Midnight where the text has no time. Raises ValueError."""
    if not re.fullmatch(_DATE, text):
        raise ValueError(NOT_A_DATE)
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # a 31st of February, or the year 0000
        raise ValueError(NOT_A_DATE) from None


def _check_date(text: str) -> str:
    parse_date(text)
    return text


Name = Annotated[str, Field(min_length=1)]
Text = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"\S"})]  # the loader checks that it is not empty
Date = Annotated[str, AfterValidator(_check_date), WithJsonSchema({"type": "string", "pattern": _DATE})]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TurnRecord(_Part):
    """One utterance."""

    id: Name | None = Field(None, description="unique in the conversation; default: SESSION:NUMBER, as in S2:1")
    speaker: Name
    text: str


class SessionRecord(_Part):
    """Turns at one time, in the order in which they were said."""

    id: Name | None = Field(
        None, description="unique in the conversation; default: S and the session's number, from S1"
    )
    date: Date | None = Field(
        None, description="when it took place, as 2023-05-08 or 2023-05-08T13:56; default: unknown"
    )
    turns: Annotated[tuple[TurnRecord, ...], Field(min_length=1)]


def _require_answer(schema: dict[str, Any]) -> None:
    """Adds to the schema that a question has an answer or is unanswerable; the loader checks the same."""
    answered = {"required": ["answer"], "properties": {"answer": {"not": {"type": "null"}, "pattern": r"\S"}}}
    unanswerable = {"required": ["unanswerable"], "properties": {"unanswerable": {"const": True}}}
    schema["anyOf"] = [answered, unanswerable]


class QuestionRecord(_Part):
    """One question about the conversation."""

    model_config = ConfigDict(json_schema_extra=_require_answer)

    id: Name | None = Field(None, description="unique in the file; default: CONVERSATION:qNUMBER, from q0")
    question: Text
    answer: str | int | float | None = Field(
        None, description="the gold answer; required unless the question is unanswerable, where it may say why"
    )
    category: Name | None = Field(
        None, description="any name; scores are reported by category; default: uncategorised, or unanswerable"
    )
    evidence: tuple[Name, ...] | None = Field(
        None, description="ids of the turns that hold the answer; default: unknown, and retrieval is not measured"
    )
    evidence_sessions: tuple[Name, ...] | None = Field(
        None, description="ids of the sessions that hold the answer; default: the sessions of the evidence turns"
    )
    date: Date | None = Field(None, description="when the question is asked; default: unknown")
    unanswerable: bool | None = Field(None, description="whether the right answer is to abstain; default: false")


class ConversationRecord(_Part):
    """One line of a dialogues file (JSON Lines): one conversation and the questions about it."""

    id: Annotated[Name, Field(description="unique in the file")]
    sessions: Annotated[tuple[SessionRecord, ...], Field(min_length=1)]
    questions: tuple[QuestionRecord, ...]


def json_schema() -> dict[str, Any]:
    """Of one line, in JSON Schema 2020-12."""
    schema = ConversationRecord.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
