"""Router and extractor that are shown a batch of a session's turns: tens of calls for a conversation instead of a thousand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from engram_eval.backends.engram.extractor import MemoryRecord
from engram_eval.backends.engram.model_calls import (
    JSONSchema,
    Masks,
    Messages,
    ModelCall,
    closed_object,
    days_of,
    in_words,
    session_day,
    system_and_user,
    turn_at,
)
from engram_eval.backends.engram.router import MemoryType
from engram_eval.language.dates import DateSpan, format_span
from engram_eval.language.prompt import Prompt, read_prompt
from engram_eval.types import Session, Turn

_PROMPTS = Path(__file__).parent / "prompts"
ROUTER, EXTRACTOR = read_prompt(_PROMPTS, "engram_router_v1"), read_prompt(_PROMPTS, "engram_extractor_v1")

_BATCH_TURNS = 40
_BATCH_CHARACTERS = 16_000
_RECORDS_A_TURN = 3  # of one type, at most


class _TurnInput(TypedDict):
    """A turn as the prompts show it. `turn`: its number in the batch, from 1; `memories`: the types that the router chose."""

    turn: int
    speaker: str
    text: str
    memories: NotRequired[list[str]]


class _RecordReply(TypedDict):
    """A record as the extractor writes it: `turns` are numbers in the batch; the type of the record decides the text's key."""

    turns: list[int]
    when: str
    title: NotRequired[str]
    summary: NotRequired[str]
    fact: NotRequired[str]
    content: NotRequired[str]


class BatchCalls:
    """Up to 40 turns a call; a record may draw on several turns."""

    router_prompts: tuple[Prompt, ...] = (ROUTER,)
    extractor_prompts: tuple[Prompt, ...] = (EXTRACTOR,)

    def parts(self, session: Session) -> Iterator[tuple[Turn, ...]]:
        batch: list[Turn] = []
        for turn in session.turns:
            characters = sum(len(t.text) for t in batch) + len(turn.text)
            if batch and (len(batch) == _BATCH_TURNS or characters > _BATCH_CHARACTERS):
                yield tuple(batch)
                batch = []
            batch.append(turn)
        if batch:
            yield tuple(batch)

    def router_call(self, session: Session, turns: tuple[Turn, ...]) -> ModelCall[Masks]:
        def parse(reply: Mapping[MemoryType, list[int]]) -> Masks:
            masks: dict[str, set[MemoryType]] = {}
            for kind in MemoryType:
                for number in reply[kind]:
                    masks.setdefault(turn_at(turns, number).id, set()).add(kind)
            return {turn_id: frozenset(kinds) for turn_id, kinds in masks.items()}

        messages = _messages(ROUTER, session, [_turn_input(n, turn) for n, turn in enumerate(turns, start=1)])
        return ModelCall("router", messages, ROUTER_SCHEMA, 128 + 16 * len(turns), 20 + 3 * len(turns), parse)

    def extractor_calls(
        self, session: Session, turns: tuple[Turn, ...], masks: Masks, count_tokens: Callable[[str], int] | None = None
    ) -> Iterator[ModelCall[list[MemoryRecord]]]:
        """One call. Expected: three of four turns are recorded (the rest is small talk), each as a sentence of at most 40
        tokens with 25 tokens of JSON around it."""

        def parse(reply: Mapping[MemoryType, list[_RecordReply]]) -> list[MemoryRecord]:
            return [_record(kind, record, session, turns) for kind in MemoryType for record in reply[kind]]

        inputs: list[_TurnInput] = []
        for n, turn in enumerate(turns, start=1):
            turn_input = _turn_input(n, turn)
            if kinds := [str(kind) for kind in MemoryType if kind in masks.get(turn.id, ())]:
                turn_input["memories"] = kinds
            inputs.append(turn_input)
        lengths = [min(40, count_tokens(turn.text)) if count_tokens else 40 for turn in turns]
        expected = 20 + 0.75 * sum(25 + length for length in lengths)
        messages, limit = _messages(EXTRACTOR, session, inputs), min(8192, 512 + 256 * len(turns))
        yield ModelCall("extractor", messages, EXTRACTOR_SCHEMA, limit, expected, parse)


def _messages(system: Prompt, session: Session, turns: list[_TurnInput]) -> Messages:
    material = {"date of the session": in_words(session.started_at), "turns": turns}
    return system_and_user(system, json.dumps(material, ensure_ascii=False))


def _turn_input(number: int, turn: Turn) -> _TurnInput:
    return {"turn": number, "speaker": turn.speaker, "text": turn.text}


def _record(kind: MemoryType, reply: _RecordReply, session: Session, turns: Sequence[Turn]) -> MemoryRecord:
    numbers = sorted(set(reply["turns"]))
    text = reply[_TEXT_KEYS[kind]].strip()
    if not numbers or not text:
        raise ValueError(f"a record of {kind} has no {'text' if numbers else 'turns'}")
    session_date = session_day(session)
    anchor = days_of(reply["when"].strip()) or session_date
    if anchor and anchor != session_date:  # contexts show a session's own date above its records
        when = format_span(DateSpan(*anchor, text="", position=(0, 0), relative=False))
        text += "" if when in text else f" ({when})"
    ids = tuple(turn_at(turns, number).id for number in numbers)
    return MemoryRecord(kind, ids, reply.get("title", "").strip(), text, anchor, verbatim=False)


_TEXT_KEYS: dict[MemoryType, Literal["summary", "fact", "content"]] = {
    MemoryType.EPISODIC: "summary",
    MemoryType.SEMANTIC: "fact",
    MemoryType.PROCEDURAL: "content",
}


_NUMBERS: JSONSchema = {"type": "array", "items": {"type": "integer"}, "maxItems": _BATCH_TURNS}


def _records(*texts: str) -> JSONSchema:
    strings: dict[str, JSONSchema] = {name: {"type": "string"} for name in (*texts, "when")}
    items = closed_object(turns=_NUMBERS, **strings)
    return {"type": "array", "items": items, "maxItems": _RECORDS_A_TURN * _BATCH_TURNS}


ROUTER_SCHEMA = closed_object(episodic=_NUMBERS, semantic=_NUMBERS, procedural=_NUMBERS)
EXTRACTOR_SCHEMA = closed_object(
    episodic=_records("title", "summary"), semantic=_records("fact"), procedural=_records("title", "content")
)
