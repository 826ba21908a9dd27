"""Controls, not memories: the floor and the ceiling that every table is read against.

`none` remembers nothing: what is right with it is guessed. `oracle` is shown the evidence turns and hands over these
alone: what is wrong with it is the reader's, the judge's or the answer key's fault. A third control, `degraded`, is
`engram` with part of its recall thrown away (`engram/`): a ruler that cannot tell the two apart measures nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from engram_eval.backends.backend import Limit, Services
from engram_eval.backends.transcript import Transcript
from engram_eval.types import Context, ConversationInfo, Session


@dataclass(frozen=True)
class NoneBackend:
    """The floor: remembers nothing."""

    control: ClassVar[bool] = True

    async def open(self, conversation: ConversationInfo, services: Services) -> NoneMemory:  # noqa: ARG002
        return NoneMemory()


class NoneMemory:
    async def ingest(self, session: Session) -> None: ...

    async def ready(self) -> None: ...

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:  # noqa: ARG002
        return Context("")

    async def close(self) -> None: ...


@dataclass(frozen=True)
class OracleBackend:
    """The ceiling: the evidence turns, dated, and nothing else. Bound by no budget."""

    context_limit: ClassVar[Limit] = "none"
    control: ClassVar[bool] = True
    sees_evidence: ClassVar[bool] = True

    async def open(self, conversation: ConversationInfo, services: Services) -> OracleMemory:  # noqa: ARG002
        return OracleMemory(Transcript(services.tokens))


class OracleMemory:
    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._places: dict[str, int] = {}
        self._evidence: tuple[str, ...] = ()

    async def ingest(self, session: Session) -> None:
        self._transcript.add(session)

    async def ready(self) -> None:
        self._places = {line.turn_id: i for i, line in enumerate(self._transcript.lines)}

    def show_evidence(self, turn_ids: tuple[str, ...]) -> None:
        self._evidence = turn_ids

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:  # noqa: ARG002
        places = [self._places[turn_id] for turn_id in self._evidence if turn_id in self._places]
        return self._transcript.context(places, [1.0] * len(self._transcript.lines), budget)

    async def close(self) -> None: ...
