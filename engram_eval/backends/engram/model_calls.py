"""One call to the model that routes or extracts: what is sent, and how the answer is read.

Two modules make such calls: `batch_calls` shows the model a batch of a session's turns, `message_calls` one message alone.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Generic, Literal, Protocol, TypeVar

from engram_eval.backends.engram.extractor import MemoryRecord
from engram_eval.backends.engram.router import MemoryType
from engram_eval.language.prompt import Prompt
from engram_eval.types import Session, Turn

Masks = Mapping[str, frozenset[MemoryType]]
"""The types of each turn, by turn id. Turns that belong in no memory are missing."""
Messages = list[dict[str, str]]
JSONSchema = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModelCall(Generic[T]):
    """`parse` gets JSON that fits `schema`; it raises ValueError if the answer is unusable for another reason."""

    role: Literal["router", "extractor"]
    messages: Messages
    schema: JSONSchema
    max_tokens: int
    """A limit for answers that do not end: several times what the work takes."""
    expected_tokens: float
    """A guess at the length of the answer, for the cost estimate."""
    parse: Callable[[Any], T]


class CallForm(Protocol):
    """How a session's turns are divided among calls."""

    router_prompts: tuple[Prompt, ...]
    extractor_prompts: tuple[Prompt, ...]

    def parts(self, session: Session) -> Iterator[tuple[Turn, ...]]:
        """The session's turns, in order, in the groups that are routed and extracted together."""
        ...

    def router_call(self, session: Session, turns: tuple[Turn, ...]) -> ModelCall[Masks]: ...

    def extractor_calls(
        self, session: Session, turns: tuple[Turn, ...], masks: Masks, count_tokens: Callable[[str], int] | None = None
    ) -> Iterator[ModelCall[list[MemoryRecord]]]:
        """The calls for turns with these types. `count_tokens`: only for an estimate; without it the guess is rough."""
        ...


def closed_object(**properties: JSONSchema) -> JSONSchema:
    """A JSON schema in the form that OpenAI's strict mode asks for.

    Strings have no `maxLength`: it is not among the keywords that OpenAI documents, and `max_tokens` limits them too.
    """
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
    }  # fmt: skip


def in_words(when: datetime | None, *, time: bool = False) -> str:
    """The date of a session as the prompts show it."""
    if when is None:
        return "unknown"
    return f"{when:%A}, {when.day} {when:%B} {when.year}" + (f", {when:%H:%M}" if time else "")


def days_of(when: str) -> tuple[date, date] | None:
    """The first and last day of YYYY, YYYY-MM or YYYY-MM-DD; None for an empty text. Raises ValueError for other texts."""
    if not when:
        return None
    parts = [int(part) for part in when.split("-")]
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"{when!r} is not YYYY-MM-DD, YYYY-MM or YYYY")
    first, last = [*parts, 1, 1][:3], [*parts, 12, 31][:3]
    if len(parts) < 3:
        last[2] = monthrange(last[0], last[1])[1]
    return date(*first), date(*last)


def session_day(session: Session) -> tuple[date, date] | None:
    """The session's own date as a record's anchor."""
    return (session.started_at.date(), session.started_at.date()) if session.started_at else None


def system_and_user(system: Prompt, user: str) -> Messages:
    return [{"role": "system", "content": system.text}, {"role": "user", "content": user}]


def turn_at(turns: Sequence[Turn], number: int) -> Turn:
    """The turn with a number, from 1. Raises ValueError if there is none."""
    if not 1 <= number <= len(turns):
        raise ValueError(f"there is no turn {number}")
    return turns[int(number) - 1]  # JSON's 1.0 is an integer too
