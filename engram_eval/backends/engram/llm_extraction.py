"""Router and extractor by a model: the types of each turn, and records of these types as JSON.

If an answer is not what the schema asks for, the model is asked once to correct it. If that fails too, or the model refuses,
the turns of the call are kept verbatim, as the rules would keep them, and a warning reports it: no turn is lost. A call that
fails for another reason (such as a server that does not respond) raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from engram_eval.backends.backend import ExpectedCall
from engram_eval.backends.engram.extractor import MemoryRecord, extract_turn
from engram_eval.backends.engram.model_calls import CallForm, Masks, Messages, ModelCall
from engram_eval.backends.engram.router import MemoryType, matching_types
from engram_eval.language.dates import find_dates
from engram_eval.llm.cost.metering import ChatModel
from engram_eval.llm.errors import LLMError, Refused
from engram_eval.types import Session, Turn

Mode = Literal["rules", "llm"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Extraction:
    """The records of some turns, in the order of the turns."""

    records: list[MemoryRecord]
    warnings: list[str]
    """Where the model gave no usable answer, one sentence each. The turns concerned are in `records` verbatim."""


@dataclass(frozen=True, slots=True)
class LLMExtraction:
    """`kinds`: only records of these types are made. Either part can be left to the rules."""

    form: CallForm
    router: Mode
    extractor: Mode
    kinds: frozenset[MemoryType]

    async def extract(self, llm: ChatModel, session: Session) -> Extraction:
        """The records of a session. Raises LLMError if a call failed, and UserError if no further call can succeed."""
        parts = [_Part(llm, session, turns, self) for turns in self.form.parts(session)]
        # Wait for all parts even if one fails: calls that are under way will be paid for.
        outcomes = await asyncio.gather(*(part.extract() for part in parts), return_exceptions=True)
        extractions = [_result(outcome) for outcome in outcomes]
        return Extraction(
            [record for extraction in extractions for record in extraction.records],
            [warning for extraction in extractions for warning in extraction.warnings],
        )

    def expected_calls(self, session: Session, count_tokens: Callable[[str], int]) -> Iterator[ExpectedCall]:
        """The calls for a session, if the router chooses the types whose patterns match, and none for other turns."""
        for turns in self.form.parts(session):
            if self.router == "llm":
                yield _expected(self.form.router_call(session, turns))
            expected = {turn.id: matching_types(turn.text, dated=_is_dated(turn, session)) for turn in turns}
            masks = self.chosen(expected if self.router == "llm" else masks_by_rules(session, turns))
            if self.extractor == "llm" and masks:
                yield from map(_expected, self.form.extractor_calls(session, turns, masks, count_tokens))

    def chosen(self, masks: Masks) -> Masks:
        """The masks without the types that are switched off."""
        return {turn_id: kinds & self.kinds for turn_id, kinds in masks.items() if kinds & self.kinds}


def masks_by_rules(session: Session, turns: Sequence[Turn]) -> Masks:
    return {turn.id: frozenset(record.type for record in extract_turn(turn, session)) for turn in turns}


def _is_dated(turn: Turn, session: Session) -> bool:
    return session.started_at is not None and bool(find_dates(turn.text, said_on=session.started_at.date()))


def _result(outcome: Extraction | BaseException) -> Extraction:
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _expected(call: ModelCall[T]) -> ExpectedCall:
    return ExpectedCall(call.role, call.messages, call.schema, call.expected_tokens, call.max_tokens)


@dataclass(frozen=True, slots=True)
class _Reply(Generic[T]):
    """What the model replied, or None and a warning if it gave nothing usable."""

    value: T | None
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class _Part:
    """Consecutive turns of a session that are routed and extracted together."""

    llm: ChatModel
    session: Session
    turns: tuple[Turn, ...]
    by: LLMExtraction

    async def extract(self) -> Extraction:
        form = self.by.form
        masks: Masks | None = None
        warnings: list[str] = []
        if self.by.router == "llm":
            routed = await self._ask(form.router_call(self.session, self.turns))
            masks = routed.value
            warnings += routed.warnings
        masks = self.by.chosen(masks_by_rules(self.session, self.turns) if masks is None else masks)
        records: list[MemoryRecord] = []
        if self.by.extractor == "llm" and masks:
            calls = form.extractor_calls(self.session, self.turns, masks)
            outcomes = await asyncio.gather(*map(self._ask, calls), return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
                records += outcome.value or []
                warnings += outcome.warnings
        recorded = {turn_id for record in records for turn_id in record.turn_ids}
        for turn in self.turns:  # those without a usable answer of the model are kept verbatim
            if turn.id in masks and turn.id not in recorded:
                records += extract_turn(turn, self.session, masks[turn.id])
        order = {turn.id: i for i, turn in enumerate(self.turns)}
        return Extraction(sorted(records, key=lambda record: order[record.turn_ids[0]]), warnings)

    async def _ask(self, call: ModelCall[T]) -> _Reply[T]:
        """Asks, and asks once more for a correction if the answer does not parse."""
        problem: Exception | None = None
        messages, text = call.messages, ""
        for _ in range(2):
            try:
                completion = await self.llm.chat(
                    role=call.role, messages=messages, schema=call.schema, max_tokens=call.max_tokens
                )
                text = completion.text
                return _Reply(call.parse(completion.data), [])
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
        return _Reply(None, [self._warning(call.role, problem)])

    def _warning(self, role: str, problem: Exception | None) -> str:
        first, last = self.turns[0].id, self.turns[-1].id
        turns, they = (f"turn {first}", "it is") if first == last else (f"turns {first} to {last}", "they are")
        return f"the {role} gave no usable answer for {turns} of session {self.session.id} ({problem}); {they} kept verbatim"


def _correction_request(text: str, problem: Exception | LLMError) -> Messages:
    request = f"That is not what was asked for: {problem}. Send the whole JSON object again, mended."
    return [{"role": "assistant", "content": text or "(nothing)"}, {"role": "user", "content": request}]
