"""Plain dense retrieval over turns: the embedding-search baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from engram_eval.backends.backend import ExpectedCall, Services, expected_embedding
from engram_eval.backends.scores import ranking
from engram_eval.backends.transcript import Transcript
from engram_eval.embedders.embedder import Embedder, Vectors
from engram_eval.types import Context, ConversationInfo, Session


@dataclass(frozen=True)
class DenseBackend:
    """Embedding search: turns ranked by cosine similarity to the question, best first until the budget is full."""

    def expected_calls(self, session: Session, count_tokens: Callable[[str], int]) -> list[ExpectedCall]:  # noqa: ARG002
        return [expected_embedding(session)]

    async def open(self, conversation: ConversationInfo, services: Services) -> DenseMemory:  # noqa: ARG002
        return DenseMemory(Transcript(services.tokens), services.embedder)


class DenseMemory:
    """Keeps turns in memory; they are embedded when ingestion ends."""

    def __init__(self, transcript: Transcript, embedder: Embedder) -> None:
        self._transcript = transcript
        self._embedder = embedder
        self._vectors: Vectors | None = None

    async def ingest(self, session: Session) -> None:
        if self._transcript.add(session):
            self._vectors = None

    async def ready(self) -> None:
        texts = [line.text for line in self._transcript.lines]
        vectors = await self._embedder.embed(texts)
        if len(vectors) != len(texts):  # numpy would not notice, and the last turns would never be found
            raise ValueError(f"the embedder returned {len(vectors)} vectors for {len(texts)} texts")
        self._vectors = vectors

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:  # noqa: ARG002
        if self._vectors is None:
            await self.ready()
        assert self._vectors is not None
        scores: Vectors = self._vectors @ (await self._embedder.embed([query]))[0]
        ranked = ranking(scores) if np.any(scores) else []
        return self._transcript.context(ranked, scores.tolist(), budget)

    async def close(self) -> None: ...
