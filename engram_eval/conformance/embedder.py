"""Embedders that misbehave on purpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engram_eval.embedders.embedder import Embedder, Vectors


class FaultyEmbedder:
    """Gives what `fault` makes of the right vectors, until it is repaired. `calls`: how often it was asked before."""

    def __init__(self, embedder: Embedder, fault: Callable[[Vectors], Vectors]) -> None:
        self.name, self.dimensions = embedder.name, embedder.dimensions
        self._embedder, self._fault = embedder, fault
        self.calls = 0
        self.repaired = False

    async def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = await self._embedder.embed(texts)
        if self.repaired:
            return vectors
        self.calls += 1
        return self._fault(vectors)


def raise_error(_vectors: Vectors) -> Vectors:
    raise ConnectionError("the embedder fails on purpose")


def lose_a_row(vectors: Vectors) -> Vectors:
    return vectors[:-1]


def lose_a_dimension(vectors: Vectors) -> Vectors:
    return vectors[:, :-1]


FAULTS: dict[str, Callable[[Vectors], Vectors]] = {
    "raised an error": raise_error,
    "returned one vector too few": lose_a_row,
    "returned vectors with one dimension too few": lose_a_dimension,
}
