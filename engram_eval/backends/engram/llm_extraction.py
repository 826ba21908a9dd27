"""Router and extractor by a model, as the paper has them: a three-bit mask for each turn, a JSON record for each bit.

A call takes a batch of a session's turns, so that a conversation costs some tens of calls and not some hundreds. What
is not what was asked for is sent back once to be mended; then the turns of the batch are kept as rules keep them, word
for word, and the fault is told: nothing is lost. A call that fails for another reason (a dead server) is not made up for.
"""

from __future__ import annotations

import asyncio
import json
from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

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
"""By turn id. A turn that belongs in no memory is not in it."""
By = Literal["rules", "llm"]
Messages = list[dict[str, str]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Extraction:
    records: list[MemoryRecord]
    warnings: list[str]
    """What the model could not do, a sentence each; the turns concerned are in `records` word for word."""


async def extract_with_llm(llm: ChatModel, session: Session, *, router: By, extractor: By) -> Extraction:
    """The records of a session in the order of their turns; either part may be left to the rules.

    Raises LLMError for a call that failed, UserError where no further call can succeed.
    """
    batches = [_batch(llm, session, batch, router, extractor) for batch in batches_of(session)]
    ended = await asyncio.gather(*batches, return_exceptions=True)  # all of them: what is under way is paid for
    done = [_of(extraction) for extraction in ended]
    return Extraction([record for d in done for record in d.records], [fault for d in done for fault in d.warnings])


def _of(ended: Extraction | BaseException) -> Extraction:
    if isinstance(ended, BaseException):
        raise ended
    return ended


async def _batch(llm: ChatModel, session: Session, batch: tuple[Turn, ...], router: By, extractor: By) -> Extraction:
    masks, faults = masks_by_rules(session, batch), []
    if router == "llm":
        routed, fault = await _route(llm, session, batch)
        masks = masks if routed is None else routed
        faults += fault
    wanted = [turn for turn in batch if masks.get(turn.id)]
    records: list[MemoryRecord] = []
    if extractor == "llm" and wanted:
        extracted, fault = await _extract(llm, session, batch, masks)
        records += extracted or []
        faults += fault
    recorded = {turn_id for record in records for turn_id in record.turn_ids}
    for turn in wanted:  # what the model was not asked, passed over, or could not do is kept as it was said
        if turn.id not in recorded:
            records += extract_turn(turn, session, masks[turn.id])
    order = {turn.id: i for i, turn in enumerate(batch)}
    return Extraction(sorted(records, key=lambda record: order[record.turn_ids[0]]), faults)


def expected_calls(
    session: Session, count_tokens: Callable[[str], int], *, router: By, extractor: By
) -> Iterator[ExpectedCall]:
    """The calls for a session. What the model will say is a guess: it records three turns of four (the rest is small talk),
    each as a sentence of at most 40 tokens with 25 of JSON around it."""
    for batch in batches_of(session):
        if router == "llm":
            yield ExpectedCall("router", router_messages(session, batch), ROUTER_SCHEMA, 20 + 3 * len(batch))
        if extractor == "llm":
            messages = extractor_messages(session, batch, masks_by_rules(session, batch))
            told = 0.75 * sum(25 + min(40, count_tokens(turn.text)) for turn in batch)
            yield ExpectedCall("extractor", messages, EXTRACTOR_SCHEMA, 20 + told)


def masks_by_rules(session: Session, batch: Sequence[Turn]) -> Masks:
    return {turn.id: frozenset(record.type for record in extract_turn(turn, session)) for turn in batch}


def batches_of(session: Session) -> list[tuple[Turn, ...]]:
    """A session's turns in runs that a model can take at once."""
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


# --- router -----------------------------------------------------------------------------------------------------


def router_messages(session: Session, batch: Sequence[Turn]) -> Messages:
    return _messages(ROUTER, session, [{"turn": n, **_said(turn)} for n, turn in enumerate(batch, start=1)])


async def _route(llm: ChatModel, session: Session, batch: Sequence[Turn]) -> tuple[Masks | None, list[str]]:
    def read(data: Mapping[str, Any]) -> Masks:
        masks: dict[str, set[MemoryType]] = {}
        for kind in MemoryType:
            for number in data[kind]:
                masks.setdefault(_turn(batch, number).id, set()).add(kind)
        return {turn_id: frozenset(kinds) for turn_id, kinds in masks.items()}

    return await _asked(llm, "router", router_messages(session, batch), ROUTER_SCHEMA, read, session, batch)


# --- extractor --------------------------------------------------------------------------------------------------


def extractor_messages(session: Session, batch: Sequence[Turn], masks: Masks) -> Messages:
    turns: list[dict[str, Any]] = []
    for n, turn in enumerate(batch, start=1):
        kinds = [str(kind) for kind in MemoryType if kind in masks.get(turn.id, ())]
        turns.append({"turn": n, **_said(turn), **({"memories": kinds} if kinds else {})})
    return _messages(EXTRACTOR, session, turns)


async def _extract(
    llm: ChatModel, session: Session, batch: Sequence[Turn], masks: Masks
) -> tuple[list[MemoryRecord] | None, list[str]]:
    def read(data: Mapping[str, Any]) -> list[MemoryRecord]:
        return [_record(kind, values, session, batch) for kind in MemoryType for values in data[kind]]

    messages = extractor_messages(session, batch, masks)
    return await _asked(llm, "extractor", messages, EXTRACTOR_SCHEMA, read, session, batch)


def _record(kind: MemoryType, values: Mapping[str, Any], session: Session, batch: Sequence[Turn]) -> MemoryRecord:
    turns = sorted(set(values["turns"]))
    text = values[_TEXT[kind]].strip()
    if not turns or not text:
        raise ValueError(f"a record of {kind} has no {'text' if turns else 'turns'}")
    said_on = session.started_at.date() if session.started_at else None
    anchor = _anchor(values["when"].strip()) or ((said_on, said_on) if said_on else None)
    if anchor and anchor != (said_on, said_on):  # the session's own date stands above its records
        when = format_span(DateSpan(*anchor, text="", position=(0, 0), relative=False))
        text += "" if when in text else f" ({when})"
    ids = tuple(_turn(batch, number).id for number in turns)
    return MemoryRecord(kind, ids, values.get("title", "").strip(), text, anchor, verbatim=False)


def _anchor(when: str) -> tuple[date, date] | None:
    """The days of YYYY, YYYY-MM or YYYY-MM-DD. Raises ValueError for anything else but nothing."""
    if not when:
        return None
    parts = [int(part) for part in when.split("-")]
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"`when` is {when!r}, not YYYY-MM-DD, YYYY-MM or YYYY")
    first, last = [*parts, 1, 1][:3], [*parts, 12, 31][:3]
    if len(parts) < 3:
        last[2] = monthrange(last[0], last[1])[1]
    return date(*first), date(*last)


# --- both -------------------------------------------------------------------------------------------------------


async def _asked(
    llm: ChatModel,
    role: str,
    messages: Messages,
    schema: Mapping[str, Any],
    read: Callable[[Mapping[str, Any]], T],
    session: Session,
    batch: Sequence[Turn],
) -> tuple[T | None, list[str]]:
    """What the model says, and no fault; or, if it could not even mend it, nothing and the fault."""
    from engram_eval.llm import LLMError, Refused

    fault: Exception | None = None
    said = ""
    for _ in range(2):
        try:
            completion = await llm.chat(role=role, messages=messages, schema=schema, max_tokens=_MAX_TOKENS)
            said = completion.text
            return read(completion.data), []  # type: ignore[arg-type]  # a mapping: the schema says so
        except Refused as error:  # nothing to mend, now or later
            fault = error
            break
        except LLMError as error:
            if error.raw is None:
                raise
            fault, said = error, error.raw
        except ValueError as error:
            fault = error
        messages = [*messages, *_please_mend(said, fault)]
    turns = f"{batch[0].id} to {batch[-1].id}"
    told = f"the {role} could not do turns {turns} of session {session.id} ({fault}): they are kept as they were said"
    return None, [told]


def _please_mend(said: str, fault: Exception | LLMError) -> Messages:
    mend = f"That is not what was asked for: {fault}. Send the whole JSON object again, mended."
    return [{"role": "assistant", "content": said or "(nothing)"}, {"role": "user", "content": mend}]


def _messages(system: Prompt, session: Session, turns: list[dict[str, Any]]) -> Messages:
    when = session.started_at
    dated = f"{when:%A}, {when.day} {when:%B} {when.year}" if when else "unknown"
    material = json.dumps({"date of the session": dated, "turns": turns}, ensure_ascii=False)
    return [{"role": "system", "content": system.text}, {"role": "user", "content": material}]


def _said(turn: Turn) -> dict[str, Any]:
    return {"speaker": turn.speaker, "text": turn.text}


def _turn(batch: Sequence[Turn], number: int) -> Turn:
    if not 1 <= number <= len(batch):
        raise ValueError(f"there is no turn {number}")
    return batch[int(number) - 1]  # JSON's 1.0 is an integer


_TEXT = {MemoryType.EPISODIC: "summary", MemoryType.SEMANTIC: "fact", MemoryType.PROCEDURAL: "content"}
_NUMBERS = {"type": "array", "items": {"type": "integer"}}


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
    }  # fmt: skip


def _records(*texts: str) -> dict[str, Any]:
    strings = {name: {"type": "string"} for name in (*texts, "when")}
    return {"type": "array", "items": _object(turns=_NUMBERS, **strings)}


ROUTER_SCHEMA = _object(episodic=_NUMBERS, semantic=_NUMBERS, procedural=_NUMBERS)
EXTRACTOR_SCHEMA = _object(
    episodic=_records("title", "summary"), semantic=_records("fact"), procedural=_records("title", "content")
)
