"""BM25 over turns: what plain keyword search remembers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from engram_eval.backends.backend import Services
from engram_eval.backends.lexical import LexicalIndex, ranking
from engram_eval.backends.transcript import Transcript
from engram_eval.language.words import content_stems
from engram_eval.types import Context, ConversationInfo, Session


@dataclass(frozen=True)
class Bm25Backend:
    """Turns as "speaker: text", Snowball stems, stop words left out, best first until the budget is full."""

    async def open(self, conversation: ConversationInfo, services: Services) -> Bm25Memory:  # noqa: ARG002
        return Bm25Memory(Transcript(services.tokens))


class Bm25Memory:
    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._index: LexicalIndex | None = None

    async def ingest(self, session: Session) -> None:
        if self._transcript.add(session):
            self._index = None

    async def ready(self) -> None:
        self._index = LexicalIndex([content_stems(line.text) for line in self._transcript.lines])

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:  # noqa: ARG002
        if self._index is None:
            await self.ready()
        assert self._index is not None
        scores = self._index.scores(content_stems(query))
        # A turn that shares no word with the query was not found; it must not fill the budget by its place alone.
        found = np.flatnonzero(scores > 0)
        return self._transcript.context(found[ranking(scores[found])].tolist(), scores.tolist(), budget)

    async def close(self) -> None: ...
