"""BM25 over turns: the keyword-search baseline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from engram_eval.backends.backend import Services
from engram_eval.backends.lexical import LexicalIndex
from engram_eval.backends.scores import ranking
from engram_eval.backends.transcript import Transcript
from engram_eval.language.words import content_stems
from engram_eval.types import Context, ConversationInfo, Session


@dataclass(frozen=True)
class Bm25Backend:
    """Keyword search: turns ranked by BM25 over Snowball stems without stop words, best first until the budget is full."""

    async def open(self, conversation: ConversationInfo, services: Services) -> Bm25Memory:  # noqa: ARG002
        return Bm25Memory(Transcript(services.tokens))


class Bm25Memory:
    """Keeps turns in memory; the index is built when ingestion ends."""

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
        # A turn that shares no word with the query is not a match: it must not fill the budget just because of its position.
        matches = np.flatnonzero(scores > 0)
        return self._transcript.context(matches[ranking(scores[matches])].tolist(), scores.tolist(), budget)

    async def close(self) -> None: ...
