"""A memory that embeds turns and retrieves the most similar ones, best first, until the token budget is full.

PYTHONPATH=docs/examples engram-eval run --backend my_memory:EmbeddingBackend --backend bm25 --dataset synthetic --limit 20
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engram_eval import Context, ConversationInfo, Item, Services, Session, Turn


@dataclass(frozen=True)
class EmbeddingBackend:
    """Its settings are its fields: --set my_memory.most=50 changes this one."""

    most: int = 100

    async def open(self, conversation: ConversationInfo, services: Services) -> EmbeddingMemory:  # noqa: ARG002
        return EmbeddingMemory(services, self.most)


class EmbeddingMemory:
    def __init__(self, services: Services, most: int) -> None:
        self._services, self._most = services, most
        self._turns: list[tuple[Turn, str]] = []
        self._sessions: set[str] = set()

    async def ingest(self, session: Session) -> None:
        if session.id in self._sessions:
            return
        self._sessions.add(session.id)
        date = f"{session.started_at:%d %B %Y}" if session.started_at else "no date"
        self._turns += [(turn, f"[{date}] {turn.speaker}: {turn.text}") for turn in session.turns]

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:  # noqa: ARG002
        vectors = await self._services.embedder.embed([query, *(line for _, line in self._turns)])
        similarities = vectors[1:] @ vectors[0]
        lines: list[str] = []
        items: list[Item] = []
        ranked = sorted(zip(self._turns, similarities.tolist(), strict=True), key=lambda pair: -pair[1])
        for (turn, line), similarity in ranked[: self._most]:
            if budget is not None and self._services.tokens.count("\n".join([*lines, line])) > budget:
                break
            lines.append(line)
            items.append(Item((turn.id,), score=similarity))
        return Context("\n".join(lines), tuple(items))

    async def close(self) -> None: ...
