"""Controls: the floor and the ceiling of every table. They are reference points, not memories to choose.

`none` remembers nothing: the reader can only guess what it gets right. `oracle` is shown the evidence turns and returns only
these: a wrong answer is due to the reader, the judge or the answer key. A third control, `degraded`, is `engram` with half of
its retrieved records removed (`engram/memory.py`): a measurement that shows no difference between
the two is not sensitive enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from engram_eval.backends.backend import ContextLimit, Services
from engram_eval.backends.transcript import Transcript
from engram_eval.types import Context, ConversationInfo, Session


@dataclass(frozen=True)
class NoneBackend:
    """Control, the floor: remembers nothing."""

    control: ClassVar[bool] = True

    async def open(self, conversation: ConversationInfo, services: Services) -> NoneMemory:  # noqa: ARG002
        return NoneMemory()


class NoneMemory:
    """Every context is empty."""

    async def ingest(self, session: Session) -> None: ...

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:  # noqa: ARG002
        return Context("")

    async def close(self) -> None: ...


@dataclass(frozen=True)
class OracleBackend:
    """Control, the ceiling: only the evidence turns, with dates. No budget applies."""

    context_limit: ClassVar[ContextLimit] = "none"
    control: ClassVar[bool] = True
    sees_evidence: ClassVar[bool] = True

    async def open(self, conversation: ConversationInfo, services: Services) -> OracleMemory:  # noqa: ARG002
        return OracleMemory(Transcript(services.tokens))


class OracleMemory:
    """Needs `show_evidence` before each `retrieve`."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._line_of_turn: dict[str, int] = {}
        self._evidence: tuple[str, ...] = ()

    async def ingest(self, session: Session) -> None:
        self._transcript.add(session)

    async def ready(self) -> None:
        self._line_of_turn = {line.turn_id: i for i, line in enumerate(self._transcript.lines)}

    def show_evidence(self, turn_ids: tuple[str, ...]) -> None:
        self._evidence = turn_ids

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:  # noqa: ARG002
        lines = [self._line_of_turn[turn_id] for turn_id in self._evidence if turn_id in self._line_of_turn]
        return self._transcript.context(lines, [1.0] * len(self._transcript.lines), budget)

    async def close(self) -> None: ...
