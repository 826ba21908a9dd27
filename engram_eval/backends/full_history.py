"""The full-history baseline: every turn, with dates, in the reader's context window."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from engram_eval.backends.backend import ContextLimit, Services
from engram_eval.backends.transcript import date_header
from engram_eval.language.tokens import TokenCounter
from engram_eval.types import Context, ConversationInfo, Item, Session


@dataclass(frozen=True)
class FullHistoryBackend:
    """Every turn, with dates. If they exceed the reader's window, whole sessions are dropped, oldest first."""

    context_limit: ClassVar[ContextLimit] = "window"

    async def open(self, conversation: ConversationInfo, services: Services) -> FullHistoryMemory:  # noqa: ARG002
        return FullHistoryMemory(services.tokens)


@dataclass(frozen=True, slots=True)
class _RenderedSession:
    text: str
    turn_ids: tuple[str, ...]
    tokens: int
    """The tokens of the text with a line break."""


class FullHistoryMemory:
    """Renders each session once; all questions about the conversation share one context."""

    def __init__(self, tokens: TokenCounter) -> None:
        self._tokens = tokens
        self._sessions: dict[str, _RenderedSession] = {}
        self._contexts: dict[int | None, Context] = {}

    async def ingest(self, session: Session) -> None:
        lines = [f"{turn.speaker}: {turn.text}" for turn in session.turns]
        if header := date_header(session.started_at):
            lines.insert(0, header)
        text = "\n".join(lines)
        turn_ids = tuple(turn.id for turn in session.turns)
        self._sessions[session.id] = _RenderedSession(text, turn_ids, self._tokens.count(text + "\n"))
        self._contexts.clear()

    async def ready(self) -> None: ...

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:  # noqa: ARG002
        if budget not in self._contexts:
            self._contexts[budget] = self._fit(budget)
        return self._contexts[budget]

    def _fit(self, budget: int | None) -> Context:
        """The newest whole sessions that fit the budget. Their token counts do not add up exactly, so the text is counted."""
        kept = list(self._sessions.values())
        if budget is not None:
            total = sum(session.tokens for session in kept)
            while kept and (total > budget + 1 or self._tokens.count(_text(kept)) > budget):
                total -= kept.pop(0).tokens
        items = tuple(Item((turn_id,), 0.0) for session in kept for turn_id in session.turn_ids)
        dropped = list(self._sessions.values())[: len(self._sessions) - len(kept)]
        left_out = tuple(turn_id for session in dropped for turn_id in session.turn_ids)
        return Context(_text(kept), items, bool(dropped), left_out)

    async def close(self) -> None: ...


def _text(sessions: list[_RenderedSession]) -> str:
    return "\n".join(session.text for session in sessions)
