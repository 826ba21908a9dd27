"""The memory of docs/examples/remote, in the run's own process."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from engram_eval import ConversationInfo, Hit, Services, Session


@dataclass(frozen=True)
class WordsBackend:
    async def open(self, conversation: ConversationInfo, services: Services) -> WordMemory:  # noqa: ARG002
        return WordMemory()


class WordMemory:
    def __init__(self) -> None:
        self.hits: list[Hit] = []

    async def ingest(self, session: Session) -> None:
        for turn in session.turns:
            self.hits.append(Hit(f"{turn.speaker}: {turn.text}", (turn.id,), 0.0, session.started_at))

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> list[Hit]:  # noqa: ARG002
        asked = _words(query)
        scored = [Hit(hit.text, hit.turn_ids, float(len(asked & _words(hit.text))), hit.date) for hit in self.hits]
        return [hit for hit in sorted(scored, key=lambda hit: -hit.score)[:100] if hit.score]

    async def close(self) -> None: ...


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w{3,}", text.lower()))
