"""Router and extractors as in the paper (sections 3.2 and 3.3, appendix D): each is shown one message, without context.

The router sets a bit for each memory in which the message belongs. Each bit leads to one call of that memory's extractor,
which writes one record. The prompts are this project's own words for what the paper's prompts ask for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TypedDict

from engram_eval.backends.engram.extractor import MemoryRecord
from engram_eval.backends.engram.model_calls import (
    JSONSchema,
    Masks,
    ModelCall,
    closed_object,
    days_of,
    in_words,
    session_day,
    system_and_user,
)
from engram_eval.backends.engram.router import MemoryType
from engram_eval.language.dates import find_dates
from engram_eval.language.prompt import Prompt, read_prompt
from engram_eval.types import Session, Turn

_PROMPTS = Path(__file__).parent / "prompts"
ROUTER = read_prompt(_PROMPTS, "engram_message_router_v1")
EXTRACTORS = {kind: read_prompt(_PROMPTS, f"engram_message_{kind}_v1") for kind in MemoryType}

_ROUTER_TOKENS, _EXTRACTOR_TOKENS = 64, 512
_STEPS = 20
_STRING: JSONSchema = {"type": "string"}
ROUTER_SCHEMA = closed_object(**{kind: {"type": "boolean"} for kind in MemoryType})
EXTRACTOR_SCHEMAS = {
    MemoryType.EPISODIC: closed_object(title=_STRING, summary=_STRING, timestamp=_STRING),
    MemoryType.SEMANTIC: closed_object(fact=_STRING),
    MemoryType.PROCEDURAL: closed_object(
        title=_STRING, content={"type": "array", "items": _STRING, "minItems": 1, "maxItems": _STEPS}
    ),
}


class _RecordReply(TypedDict, total=False):
    """A record as one of the extractors writes it."""

    title: str
    summary: str
    timestamp: str
    fact: str
    content: list[str]


class MessageCalls:
    """One message a call."""

    router_prompts: tuple[Prompt, ...] = (ROUTER,)
    extractor_prompts: tuple[Prompt, ...] = tuple(EXTRACTORS.values())

    def parts(self, session: Session) -> Iterator[tuple[Turn, ...]]:
        for turn in session.turns:
            yield (turn,)

    def router_call(self, session: Session, turns: tuple[Turn, ...]) -> ModelCall[Masks]:  # noqa: ARG002 - no context
        (turn,) = turns

        def parse(reply: Mapping[MemoryType, bool]) -> Masks:
            kinds = frozenset(kind for kind in MemoryType if reply[kind])
            return {turn.id: kinds} if kinds else {}

        messages = system_and_user(ROUTER, json.dumps({"message": turn.text}, ensure_ascii=False))
        return ModelCall("router", messages, ROUTER_SCHEMA, _ROUTER_TOKENS, 18, parse)

    def extractor_calls(
        self, session: Session, turns: tuple[Turn, ...], masks: Masks, count_tokens: Callable[[str], int] | None = None
    ) -> Iterator[ModelCall[list[MemoryRecord]]]:
        """One call for each type of the message. Expected: a sentence of at most 40 tokens, JSON, and a title and a date."""
        (turn,) = turns
        material = {"sent": in_words(session.started_at, time=True), "speaker": turn.speaker, "message": turn.text}
        for kind in MemoryType:
            if kind not in masks.get(turn.id, ()):
                continue
            messages = system_and_user(EXTRACTORS[kind], json.dumps(material, ensure_ascii=False))
            length = min(40, count_tokens(turn.text)) if count_tokens else 40
            expected = length + (8 if kind is MemoryType.SEMANTIC else 30)
            parse = _parser(kind, turn, session)
            yield ModelCall("extractor", messages, EXTRACTOR_SCHEMAS[kind], _EXTRACTOR_TOKENS, expected, parse)


def _parser(kind: MemoryType, turn: Turn, session: Session) -> Callable[[_RecordReply], list[MemoryRecord]]:
    def parse(reply: _RecordReply) -> list[MemoryRecord]:
        anchor = session_day(session)
        if kind is MemoryType.EPISODIC:
            text, anchor = reply["summary"], _days(reply["timestamp"], session) or anchor
        elif kind is MemoryType.SEMANTIC:
            text = reply["fact"]
        else:
            text = "; ".join(step.strip() for step in reply["content"] if step.strip())
        if not text.strip():
            raise ValueError(f"the {kind} record has no text")
        return [MemoryRecord(kind, (turn.id,), reply.get("title", "").strip(), text.strip(), anchor, verbatim=False)]

    return parse


def _days(timestamp: str, session: Session) -> tuple[date, date] | None:
    """The first and last day of a timestamp: ISO days, months or years, two of them with a slash between, or in words.

    None for an empty text. Raises ValueError for any other text.
    """
    timestamp = timestamp.strip()
    try:
        ends = [days_of(part.strip()) for part in timestamp.split("/")]
    except ValueError:
        said_on = session.started_at.date() if session.started_at else None
        spans = find_dates(timestamp, said_on=said_on)  # "7 May 2023", which is what the prompt's form means
        if len(spans) != 1:
            raise ValueError(
                f"`timestamp` is {timestamp!r}, not YYYY-MM-DD, YYYY-MM, YYYY or two of them as A/B"
            ) from None
        return spans[0].start, spans[0].end
    first, last = ends[0], ends[-1]
    if len(ends) > 2 or first is None or last is None:
        if not timestamp:
            return None
        raise ValueError(f"`timestamp` is {timestamp!r}, not one date or two of them as A/B")
    if first[0] > last[1]:
        raise ValueError(f"`timestamp` is {timestamp!r}, which ends before it begins")
    return first[0], last[1]
