"""Router and extractor by a model, as in the paper: a three-bit mask for each turn, a JSON record for each bit.

One call takes a batch of a session's turns, so that a conversation costs tens of calls instead of hundreds. If the answer
is not what the schema asks for, the model is asked once to correct it. If that fails too, or the model refuses, the batch's
turns are kept verbatim, as the rules would keep them, and a warning reports it: no turn is lost. A call that fails for another
reason (such as a server that does not respond) raises.
"""

from __future__ import annotations

import asyncio
import json
from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, NotRequired, TypedDict, TypeVar

from engram_eval.backends.backend import ExpectedCall
from engram_eval.backends.engram.extractor import MemoryRecord, extract_turn
from engram_eval.backends.engram.router import MemoryType
from engram_eval.language.dates import DateSpan, format_span
from engram_eval.language.prompt import Prompt, read_prompt
from engram_eval.llm.cost.metering import ChatModel
from engram_eval.types import Session, Turn

if TYPE_CHECKING:
    from engram_eval.llm import LLMError

_PROMPTS = Path(__file__).parent / "prompts"
ROUTER, EXTRACTOR = read_prompt(_PROMPTS, "engram_router_v1"), read_prompt(_PROMPTS, "engram_extractor_v1")

_BATCH_TURNS = 40
_BATCH_CHARACTERS = 16_000
_MAX_TOKENS = 8192

Masks = dict[str, frozenset[MemoryType]]
"""The types of each turn, by turn id. Turns that belong in no memory are missing."""
Mode = Literal["rules", "llm"]
Messages = list[dict[str, str]]
JSONSchema = dict[str, Any]
T = TypeVar("T")


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


_RouterReply = Mapping[MemoryType, list[int]]
_ExtractorReply = Mapping[MemoryType, list[_RecordReply]]


@dataclass(frozen=True, slots=True)
class Extraction:
    """The records of some turns, in the order of the turns."""

    records: list[MemoryRecord]
    warnings: list[str]
    """Where the model gave no usable answer, one sentence each. The turns concerned are in `records` verbatim."""


async def extract_with_llm(llm: ChatModel, session: Session, *, router: Mode, extractor: Mode) -> Extraction:
    """The records of a session. Either part can be left to the rules.

    Raises LLMError if a call failed, and UserError if no further call can succeed.
    """
    batches = [_Batch(llm, session, turns) for turns in batches_of(session)]
    calls = [batch.extract(router, extractor) for batch in batches]
    # Wait for all batches even if one fails: calls that are under way will be paid for.
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    extractions = [_result(outcome) for outcome in outcomes]
    return Extraction(
        [record for extraction in extractions for record in extraction.records],
        [warning for extraction in extractions for warning in extraction.warnings],
    )


def _result(outcome: Extraction | BaseException) -> Extraction:
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def expected_calls(
    session: Session, count_tokens: Callable[[str], int], *, router: Mode, extractor: Mode
) -> Iterator[ExpectedCall]:
    """The calls for a session. The length of the answers is a guess: the model records three of four turns (the rest is
    small talk), each as a sentence of at most 40 tokens with 25 tokens of JSON around it."""
    for batch in batches_of(session):
        if router == "llm":
            yield ExpectedCall("router", router_messages(session, batch), ROUTER_SCHEMA, 20 + 3 * len(batch))
        if extractor == "llm":
            messages = extractor_messages(session, batch, masks_by_rules(session, batch))
            recorded = 0.75 * sum(25 + min(40, count_tokens(turn.text)) for turn in batch)
            yield ExpectedCall("extractor", messages, EXTRACTOR_SCHEMA, 20 + recorded)


def masks_by_rules(session: Session, batch: Sequence[Turn]) -> Masks:
    return {turn.id: frozenset(record.type for record in extract_turn(turn, session)) for turn in batch}


def batches_of(session: Session) -> list[tuple[Turn, ...]]:
    """A session's turns in batches that fit one call."""
    return list(_batched(session.turns))


def _batched(turns: Sequence[Turn]) -> Iterator[tuple[Turn, ...]]:
    batch: list[Turn] = []
    for turn in turns:
        if batch and (
            len(batch) == _BATCH_TURNS or sum(len(t.text) for t in batch) + len(turn.text) > _BATCH_CHARACTERS
        ):
            yield tuple(batch)
            batch = []
        batch.append(turn)
    if batch:
        yield tuple(batch)


# --- one batch --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Reply(Generic[T]):
    """What the model replied, or None and a warning if it gave nothing usable."""

    value: T | None
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Consecutive turns of a session that are routed and extracted by one call each."""

    llm: ChatModel
    session: Session
    turns: tuple[Turn, ...]

    async def extract(self, router: Mode, extractor: Mode) -> Extraction:
        masks, warnings = masks_by_rules(self.session, self.turns), list[str]()
        if router == "llm":
            routed = await self._route()
            masks = masks if routed.value is None else routed.value
            warnings += routed.warnings
        selected = [turn for turn in self.turns if masks.get(turn.id)]
        records: list[MemoryRecord] = []
        if extractor == "llm" and selected:
            extracted = await self._extract(masks)
            records += extracted.value or []
            warnings += extracted.warnings
        recorded = {turn_id for record in records for turn_id in record.turn_ids}
        for turn in selected:  # turns without a usable answer of the model are kept verbatim
            if turn.id not in recorded:
                records += extract_turn(turn, self.session, masks[turn.id])
        order = {turn.id: i for i, turn in enumerate(self.turns)}
        return Extraction(sorted(records, key=lambda record: order[record.turn_ids[0]]), warnings)

    async def _route(self) -> _Reply[Masks]:
        def parse(reply: _RouterReply) -> Masks:
            masks: dict[str, set[MemoryType]] = {}
            for kind in MemoryType:
                for number in reply[kind]:
                    masks.setdefault(_turn(self.turns, number).id, set()).add(kind)
            return {turn_id: frozenset(kinds) for turn_id, kinds in masks.items()}

        return await self._ask("router", router_messages(self.session, self.turns), ROUTER_SCHEMA, parse)

    async def _extract(self, masks: Masks) -> _Reply[list[MemoryRecord]]:
        def parse(reply: _ExtractorReply) -> list[MemoryRecord]:
            return [_record(kind, record, self.session, self.turns) for kind in MemoryType for record in reply[kind]]

        return await self._ask(
            "extractor", extractor_messages(self.session, self.turns, masks), EXTRACTOR_SCHEMA, parse
        )

    async def _ask(self, role: str, messages: Messages, schema: JSONSchema, parse: Callable[[Any], T]) -> _Reply[T]:
        """Asks, and asks once more for a correction if the answer does not parse. `parse` gets JSON that fits the schema."""
        from engram_eval.llm import LLMError, Refused

        problem: Exception | None = None
        text = ""
        for _ in range(2):
            try:
                completion = await self.llm.chat(role=role, messages=messages, schema=schema, max_tokens=_MAX_TOKENS)
                text = completion.text
                return _Reply(parse(completion.data), [])
            except Refused as error:  # asking again would be refused again
                problem = error
                break
            except LLMError as error:
                if error.raw is None:
                    raise
                problem, text = error, error.raw
            except ValueError as error:
                problem = error
            messages = [*messages, *_correction_request(text, problem)]
        turns = f"{self.turns[0].id} to {self.turns[-1].id}"
        warning = (
            f"the {role} gave no usable answer for turns {turns} of session {self.session.id} ({problem}); "
            "they are kept verbatim"
        )
        return _Reply(None, [warning])


# --- messages and records ---------------------------------------------------------------------------------------


def router_messages(session: Session, batch: Sequence[Turn]) -> Messages:
    return _messages(ROUTER, session, [_turn_input(n, turn) for n, turn in enumerate(batch, start=1)])


def extractor_messages(session: Session, batch: Sequence[Turn], masks: Masks) -> Messages:
    turns: list[_TurnInput] = []
    for n, turn in enumerate(batch, start=1):
        turn_input = _turn_input(n, turn)
        if kinds := [str(kind) for kind in MemoryType if kind in masks.get(turn.id, ())]:
            turn_input["memories"] = kinds
        turns.append(turn_input)
    return _messages(EXTRACTOR, session, turns)


def _messages(system: Prompt, session: Session, turns: list[_TurnInput]) -> Messages:
    when = session.started_at
    session_date = f"{when:%A}, {when.day} {when:%B} {when.year}" if when else "unknown"
    material = json.dumps({"date of the session": session_date, "turns": turns}, ensure_ascii=False)
    return [{"role": "system", "content": system.text}, {"role": "user", "content": material}]


def _correction_request(text: str, problem: Exception | LLMError) -> Messages:
    request = f"That is not what was asked for: {problem}. Send the whole JSON object again, mended."
    return [{"role": "assistant", "content": text or "(nothing)"}, {"role": "user", "content": request}]


def _record(kind: MemoryType, reply: _RecordReply, session: Session, batch: Sequence[Turn]) -> MemoryRecord:
    turns = sorted(set(reply["turns"]))
    text = reply[_TEXT_KEYS[kind]].strip()
    if not turns or not text:
        raise ValueError(f"a record of {kind} has no {'text' if turns else 'turns'}")
    session_date = session.started_at.date() if session.started_at else None
    anchor = _anchor(reply["when"].strip()) or ((session_date, session_date) if session_date else None)
    if anchor and anchor != (session_date, session_date):  # contexts show a session's own date above its records
        when = format_span(DateSpan(*anchor, text="", position=(0, 0), relative=False))
        text += "" if when in text else f" ({when})"
    ids = tuple(_turn(batch, number).id for number in turns)
    return MemoryRecord(kind, ids, reply.get("title", "").strip(), text, anchor, verbatim=False)


def _anchor(when: str) -> tuple[date, date] | None:
    """The first and last day of YYYY, YYYY-MM or YYYY-MM-DD; None for an empty text. Raises ValueError for other texts."""
    if not when:
        return None
    parts = [int(part) for part in when.split("-")]
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"`when` is {when!r}, not YYYY-MM-DD, YYYY-MM or YYYY")
    first, last = [*parts, 1, 1][:3], [*parts, 12, 31][:3]
    if len(parts) < 3:
        last[2] = monthrange(last[0], last[1])[1]
    return date(*first), date(*last)


def _turn_input(number: int, turn: Turn) -> _TurnInput:
    return {"turn": number, "speaker": turn.speaker, "text": turn.text}


def _turn(batch: Sequence[Turn], number: int) -> Turn:
    if not 1 <= number <= len(batch):
        raise ValueError(f"there is no turn {number}")
    return batch[int(number) - 1]  # JSON's 1.0 is an integer too


# --- schemas ----------------------------------------------------------------------------------------------------

_TEXT_KEYS: dict[MemoryType, Literal["summary", "fact", "content"]] = {
    MemoryType.EPISODIC: "summary",
    MemoryType.SEMANTIC: "fact",
    MemoryType.PROCEDURAL: "content",
}
_NUMBERS: JSONSchema = {"type": "array", "items": {"type": "integer"}}


def _object(**properties: JSONSchema) -> JSONSchema:
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
    }  # fmt: skip


def _records(*texts: str) -> JSONSchema:
    strings: dict[str, JSONSchema] = {name: {"type": "string"} for name in (*texts, "when")}
    return {"type": "array", "items": _object(turns=_NUMBERS, **strings)}


ROUTER_SCHEMA = _object(episodic=_NUMBERS, semantic=_NUMBERS, procedural=_NUMBERS)
EXTRACTOR_SCHEMA = _object(
    episodic=_records("title", "summary"), semantic=_records("fact"), procedural=_records("title", "content")
)
