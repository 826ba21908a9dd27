"""BM25 scores of documents that are lists of stems, and what rankers do with scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import bm25s
import numpy as np
import numpy.typing as npt

# Lucene's variant and its defaults (Robertson & Zaragoza 2009; Kamphuis et al. 2020, "Which BM25 do you mean?").
_METHOD, _K1, _B = "lucene", 1.2, 0.75

Floats = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]


class LexicalIndex:
    """Built once over all documents; a query is a few sparse columns added up."""

    def __init__(self, documents: Sequence[Sequence[str]]) -> None:
        self._size = len(documents)
        self._vocabulary = {stem for document in documents for stem in document}
        self._index = bm25s.BM25(method=_METHOD, k1=_K1, b=_B)
        if self._vocabulary:
            # bm25s numbers the vocabulary by iterating a set: given as ids, its order is ours and always the same.
            ids = {stem: i for i, stem in enumerate(sorted(self._vocabulary))}
            rows = [[ids[stem] for stem in document] for document in documents]
            self._index.index((rows, ids), show_progress=False)

    def scores(self, query: Sequence[str]) -> Floats:
        """One score a document; all zeros where no stem of the query is known."""
        known = [stem for stem in query if stem in self._vocabulary]
        if not known:
            return np.zeros(self._size, np.float32)
        scores: Floats = self._index.get_scores(known)
        return scores

    def coverage(self, query: Sequence[str]) -> Floats:
        """The share of the query's distinct stems that a document has, each weighed by BM25's idf; from 0 to 1.

        A stem that no document has counts as the rarest.
        """
        covered, whole = np.zeros(self._size, np.float32), 0.0
        for stem in dict.fromkeys(query):
            holders = self._holders(stem)
            idf = float(rarity(np.array(len(holders)), self._size))
            covered[holders] += np.float32(idf)
            whole += idf
        return covered / np.float32(whole) if whole else covered

    def _holders(self, stem: str) -> npt.NDArray[np.int32]:
        """The documents that have a stem: a column of the index, which need not be made whole for it."""
        if stem not in self._vocabulary:
            return np.zeros(0, np.int32)
        column, ends = self._index.vocab_dict[stem], self._index.scores["indptr"]
        holders: npt.NDArray[np.int32] = self._index.scores["indices"][ends[column] : ends[column + 1]]
        return holders


def rarity(said: npt.NDArray[np.int64], documents: int) -> Scores:
    """How rare words are that stand in `said` of `documents`: BM25's idf (Lucene's, never negative)."""
    share: Scores = np.log1p((np.maximum(documents - said, 0) + 0.5) / (said + 0.5))
    return share


def standardised(scores: npt.NDArray[np.floating[Any]], deviation: float | None = None) -> Scores:
    """Deviations from the mean, in units of the scores' own deviation or of the one given; zeros where that is 0."""
    wide = scores.astype(np.float64)
    if not len(scores):
        return wide
    spread = float(scores.std()) if deviation is None else deviation
    return (wide - wide.mean()) / spread if spread > 0 else np.zeros_like(wide)


def ranking(scores: npt.NDArray[np.floating[Any]]) -> list[int]:
    """Indices by falling score; equal scores in the order of the documents, so that a ranking is reproducible."""
    order: list[int] = np.argsort(-scores, kind="stable").tolist()
    return order


def best_first(scores: npt.NDArray[np.floating[Any]], *, first: int = 4096) -> Iterator[int]:
    """The same one by one; the `first` are found without sorting the rest, for those who stop early."""
    if len(scores) <= first:
        yield from ranking(scores)
        return
    least = np.partition(scores, -first)[-first]
    above = np.flatnonzero(scores > least)
    yield from above[ranking(scores[above])].tolist()
    yield from np.flatnonzero(scores == least)[: first - len(above)].tolist()
    yield from ranking(scores)[first:]
