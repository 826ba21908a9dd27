"""How similar stored vectors are to a question's: computed exactly, or from an approximate index.

The index is faiss's product quantizer with 4 bits per pair of dimensions, scanned in SIMD registers (André et al., "Quicker
ADC", PAMI 2019). It reads a sixteenth of the bytes that the exact product reads. The vectors that it finds are compared
again exactly. It is trained by one thread on a fixed sample with a fixed seed, so that the same vectors give the same index
with any number of threads; graph indexes (HNSW) that are built in parallel do not guarantee that.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from engram_eval.backends.engram.index_file import open_index
from engram_eval.embedders.embedder import Vectors
from engram_eval.errors import note

SearchMode = Literal["auto", "exact", "approximate"]

APPROXIMATE_FROM = 50_000
"""`auto` uses the index from this many vectors on. For `engram:dense` the index becomes faster at about 25,000 turns (1.5
vectors each): 8 ms instead of 22 at 100,000 turns, 46 instead of 186 at a million (benchmarks/perf/scaling.md)."""
NEAREST = 2048
"""Vectors compared exactly: enough to miss hardly any of the 40 nearest (see "index recall" in benchmarks/perf/scaling.md)."""
INSTALL = "pip install 'engram_eval[index]'"

_SAMPLE = 4096
_ROWS_AT_A_TIME = 256  # gathered from the vectors: as many as fit the processor's nearest cache


class VectorSearch(Protocol):
    """Compares stored vectors with one vector."""

    def similarities(self, vector: Vectors) -> Vectors:
        """The inner product of each stored vector with `vector` of shape (dimensions,); shape (stored,)."""
        ...

    def deviation(self, vector: Vectors, similarities: Vectors) -> float:
        """The standard deviation of the exact similarities to `vector`; `similarities` are what the method above returned."""
        ...


class ExactSearch:
    """The product with every vector."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    def similarities(self, vector: Vectors) -> Vectors:
        product: Vectors = self._vectors @ vector
        return product

    def deviation(self, vector: Vectors, similarities: Vectors) -> float:  # noqa: ARG002
        return float(similarities.std()) if len(similarities) else 0.0


class ApproximateSearch:
    """The exact similarity for the nearest vectors; the lowest of these for all others.

    The deviation is estimated from the exact similarities of a fixed sample, since most of those returned are equal.
    """

    def __init__(self, vectors: Vectors, path: Path, nearest: int) -> None:
        self.nearest = min(nearest, len(vectors))
        self._sample = vectors[np.linspace(0, len(vectors) - 1, min(_SAMPLE, len(vectors)), dtype=np.intp)]
        self.vectors, self.index = open_index(vectors, path)

    def similarities(self, vector: Vectors) -> Vectors:
        rows = self.index.search(vector[None], self.nearest)[1][0]
        rows = np.sort(rows[rows >= 0])
        if not len(rows):  # for a vector of zeros the index finds nothing
            return np.zeros(len(self.vectors), np.float32)
        exact = np.concatenate(
            [self.vectors[rows[i : i + _ROWS_AT_A_TIME]] @ vector for i in range(0, len(rows), _ROWS_AT_A_TIME)]
        )
        similarities = np.full(len(self.vectors), exact.min(), np.float32)
        similarities[rows] = exact
        return similarities

    def deviation(self, vector: Vectors, similarities: Vectors) -> float:  # noqa: ARG002
        return float((self._sample @ vector).std())


@dataclass(frozen=True, slots=True)
class PartitionedSearch:
    """Searches consecutive parts of the stored vectors one by one, so that the nearest of each part are found."""

    parts: list[VectorSearch]

    def similarities(self, vector: Vectors) -> Vectors:
        return np.concatenate([np.zeros(0, np.float32), *(part.similarities(vector) for part in self.parts)])


@dataclass(frozen=True, slots=True)
class VectorSearches:
    """Makes searches, exact or approximate by `mode`. Index files are kept in `folder`."""

    mode: SearchMode
    folder: Path
    max_records: int
    """How many records a retrieval takes at most."""

    def whole(self, name: str, vectors: Vectors) -> VectorSearch:
        """A search of vectors of shape (stored, dimensions). `name` distinguishes its index from others in the folder."""
        return self._with_index(name, vectors) if self._use_index(len(vectors)) else ExactSearch(vectors)

    def partitioned(self, vectors: Vectors, parts: Sequence[tuple[str, int]]) -> PartitionedSearch:
        """A search for the nearest of each part. `parts` are names and numbers of vectors, in the order of `vectors`."""
        if not self._use_index(len(vectors)):
            return PartitionedSearch([ExactSearch(vectors)])
        ends = np.cumsum([length for _, length in parts]).tolist()
        return PartitionedSearch(
            [
                self._with_index(name, vectors[end - length : end])
                for (name, length), end in zip(parts, ends, strict=True)
            ]
        )

    def _use_index(self, stored: int) -> bool:
        if self.mode != "auto":
            return self.mode == "approximate"
        if stored < APPROXIMATE_FROM:
            return False
        if not faiss_installed():
            note(f"{stored:,} records are searched exactly; for faster search: {INSTALL}")
            return False
        return True

    def _with_index(self, name: str, vectors: Vectors) -> VectorSearch:
        nearest = max(NEAREST, 4 * self.max_records)  # a turn may have three records, of which retrieval keeps one
        if len(vectors) <= nearest:  # the index would save nothing: all vectors would be compared exactly
            return ExactSearch(vectors.copy())
        return ApproximateSearch(vectors, self.folder / f"engram.{name}.index", nearest)


def faiss_installed() -> bool:
    """Whether faiss, which the approximate index needs, is installed."""
    return importlib.util.find_spec("faiss") is not None
