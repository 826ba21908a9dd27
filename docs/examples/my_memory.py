"""A memory that embeds turns and retrieves the most similar ones, best first, until the token budget is full.

PYTHONPATH=docs/examples engram-eval run --backend my_memory:EmbeddingBackend --backend bm25 --dataset synthetic --limit 20
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

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

    async def ingest(self, session: Session) -> None:
        date = f"{session.started_at:%d %B %Y}" if session.started_at else "no date"
        self._turns += [(turn, f"[{date}] {turn.speaker}: {turn.text}") for turn in session.turns]

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:  # noqa: ARG002
        vectors = await self._services.embedder.embed([query, *(line for _, line in self._turns)])
        similarities = vectors[1:] @ vectors[0]
        lines: list[str] = []
        items: list[Item] = []
        for index in np.argsort(-similarities)[: self._most]:
            turn, line = self._turns[index]
            if budget is not None and self._services.tokens.count("\n".join([*lines, line])) > budget:
                break
            lines.append(line)
            items.append(Item((turn.id,), score=float(similarities[index])))
        return Context("\n".join(lines), tuple(items))

    async def close(self) -> None: ...
