"""Embedders that misbehave on purpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engram_eval.embedders.embedder import Embedder, Vectors

Fault = Callable[[Vectors], Vectors]


class FaultyEmbedder:
    """Gives what `fault` makes of the right vectors. `calls`: how often it has done so.

    `least`: the number of texts from which on it does; None if it is repaired.
    """

    def __init__(self, embedder: Embedder, fault: Fault) -> None:
        self.name, self.dimensions = embedder.name, embedder.dimensions
        self._embedder, self._fault = embedder, fault
        self.calls = 0
        self.least: int | None = 1

    async def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = await self._embedder.embed(texts)
        if self.least is None or len(texts) < self.least:
            return vectors
        self.calls += 1
        return self._fault(vectors)


def raise_error(_vectors: Vectors) -> Vectors:
    raise ConnectionError("the embedder fails on purpose")


def lose_a_row(vectors: Vectors) -> Vectors:
    return vectors[:-1]


def lose_a_dimension(vectors: Vectors) -> Vectors:
    return vectors[:, :-1]


FAULTS: dict[str, Fault] = {
    "raised an error": raise_error,
    "returned one vector too few": lose_a_row,
    "returned vectors with one dimension too few": lose_a_dimension,
}
