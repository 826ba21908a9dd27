"""The full-history baseline: every turn, dated, in the reader's window."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from engram_eval.backends.backend import Limit, Services
from engram_eval.backends.transcript import date_header
from engram_eval.language.tokens import TokenCounter
from engram_eval.types import Context, ConversationInfo, Item, Session


@dataclass(frozen=True)
class FullHistoryBackend:
    """Every turn, dated. Over the reader's window the oldest whole sessions go first, and the context says so."""

    context_limit: ClassVar[Limit] = "window"

    async def open(self, conversation: ConversationInfo, services: Services) -> FullHistoryMemory:  # noqa: ARG002
        return FullHistoryMemory(services.tokens)


class FullHistoryMemory:
    def __init__(self, tokens: TokenCounter) -> None:
        self._tokens = tokens
        self._sessions: dict[str, tuple[str, tuple[str, ...], int]] = {}  # id -> text, turn ids, tokens
        self._contexts: dict[int | None, Context] = {}

    async def ingest(self, session: Session) -> None:
        lines = [f"{turn.speaker}: {turn.text}" for turn in session.turns]
        if header := date_header(session.started_at):
            lines.insert(0, header)
        text = "\n".join(lines)
        self._sessions[session.id] = (text, tuple(turn.id for turn in session.turns), self._tokens.count(text + "\n"))
        self._contexts.clear()

    async def ready(self) -> None: ...

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:  # noqa: ARG002
        if budget not in self._contexts:  # the same for every question of the conversation
            self._contexts[budget] = self._fit(budget)
        return self._contexts[budget]

    def _fit(self, budget: int | None) -> Context:
        kept = list(self._sessions.values())
        if budget is not None:
            total = sum(tokens for _, _, tokens in kept)
            while kept and (total > budget + 1 or self._tokens.count(self._text(kept)) > budget):
                total -= kept.pop(0)[2]
        items = tuple(Item((turn_id,), 0.0) for _, turn_ids, _ in kept for turn_id in turn_ids)
        dropped = list(self._sessions.values())[: len(self._sessions) - len(kept)]
        left_out = tuple(turn_id for _, turn_ids, _ in dropped for turn_id in turn_ids)
        return Context(self._text(kept), items, bool(dropped), left_out)

    @staticmethod
    def _text(sessions: list[tuple[str, tuple[str, ...], int]]) -> str:
        return "\n".join(text for text, _, _ in sessions)

    async def close(self) -> None: ...
