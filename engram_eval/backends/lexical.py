"""BM25: an index of documents, each a list of stems, and its scores for a query."""

from __future__ import annotations

from collections.abc import Sequence

import bm25s
import numpy as np
import numpy.typing as npt

from engram_eval.backends.scores import Scores

# Lucene's variant and its defaults (Robertson & Zaragoza 2009; Kamphuis et al. 2020, "Which BM25 do you mean?").
_METHOD, _K1, _B = "lucene", 1.2, 0.75

Floats = npt.NDArray[np.float32]


class LexicalIndex:
    """Built once over all documents. A query adds up a few sparse columns."""

    def __init__(self, documents: Sequence[Sequence[str]]) -> None:
        self._size = len(documents)
        self._vocabulary = {stem for document in documents for stem in document}
        self._index = bm25s.BM25(method=_METHOD, k1=_K1, b=_B)
        if self._vocabulary:
            # From stems, bm25s would number the vocabulary in the order of a set, which differs between processes.
            ids = {stem: i for i, stem in enumerate(sorted(self._vocabulary))}
            rows = [[ids[stem] for stem in document] for document in documents]
            self._index.index((rows, ids), show_progress=False)

    def scores(self, query: Sequence[str]) -> Floats:
        """One score per document; all zeros if no document has a stem of the query."""
        known = [stem for stem in query if stem in self._vocabulary]
        if not known:
            return np.zeros(self._size, np.float32)
        scores: Floats = self._index.get_scores(known)
        return scores

    def coverage(self, query: Sequence[str]) -> Floats:
        """For each document the share of the query's distinct stems that it contains, weighted by idf; from 0 to 1.

        A stem that no document contains counts as the rarest.
        """
        covered, total = np.zeros(self._size, np.float32), 0.0
        for stem in dict.fromkeys(query):
            documents = self._documents_with(stem)
            weight = float(idf(np.array(len(documents)), self._size))
            covered[documents] += np.float32(weight)
            total += weight
        return covered / np.float32(total) if total else covered

    def _documents_with(self, stem: str) -> npt.NDArray[np.int32]:
        """The documents that contain a stem, read from the index's sparse column without making it dense."""
        if stem not in self._vocabulary:
            return np.zeros(0, np.int32)
        column, ends = self._index.vocab_dict[stem], self._index.scores["indptr"]
        documents: npt.NDArray[np.int32] = self._index.scores["indices"][ends[column] : ends[column + 1]]
        return documents


def idf(document_counts: npt.NDArray[np.int64], documents: int) -> Scores:
    """Inverse document frequency of words that are in `document_counts` of `documents`: Lucene's, never negative."""
    weights: Scores = np.log1p((np.maximum(documents - document_counts, 0) + 0.5) / (document_counts + 0.5))
    return weights
