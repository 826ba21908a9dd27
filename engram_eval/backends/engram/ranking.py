"""The rankers: how well each record of a memory matches a question.

`dense` is the paper's: cosine similarity of embeddings. `hybrid` is a weighted sum of parts that dialogue needs:

    lexical      BM25: names and rare words decide where an averaged embedding cannot
    coverage     the idf-weighted share of the question's words that the turn contains: several words count for more than
                 one word repeated
    dense        cosine similarity of the embeddings
    turn_before  lexical + dense match of the preceding turn in the session; two_before: of the one before that
    turn_after   the same of the following turn; two_after: of the one after that. An answer follows its question, and
                 need not repeat its words
    session      the best match in the turn's session: what the question is about was discussed there
    speaker      1 if the question names the turn's speaker
    dated        1 if the question asks for a time and the turn names one
    episodic     1 if the turn reports an event
    question     -1 if the turn ends in a question, which asks for facts rather than stating them

Lexical and dense match are in units of their standard deviation over the memory. The weights are those of a conditional
logit, in which the probability that a turn is evidence is proportional to exp(its score), fitted on five LoCoMo conversations.
benchmarks/fit_ranker.py fits them again and measures them on conversations that they were not fitted on.
benchmarks/ablations.md shows what each part contributes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from itertools import groupby

import numpy as np
import numpy.typing as npt

from engram_eval.backends.engram.router import MemoryType
from engram_eval.backends.engram.store import Stored
from engram_eval.backends.engram.vector_search import VectorSearches
from engram_eval.backends.lexical import LexicalIndex
from engram_eval.backends.scores import Scores, standardized
from engram_eval.backends.speakers import mentioned_speakers, name_words
from engram_eval.embedders.embedder import Embedder
from engram_eval.language.words import STOPWORDS, content_stems, normalize, stem, words

_ASKS_WHEN = re.compile(r"\b(?:when|how long|(?:what|which) (?:year|month|week|date|day|time))\b")


@dataclass(frozen=True)
class Weights:
    """The weights of the hybrid ranker's parts, the same for every embedder. A weight of 0 leaves its part out."""

    lexical: float = 0.14
    coverage: float = 1.9
    dense: float = 0.42
    turn_before: float = 0.15
    turn_after: float = 0.06
    two_before: float = 0.11
    two_after: float = 0.07
    session: float = 0.17
    speaker: float = 2.3
    dated: float = 1.7
    episodic: float = 0.8
    question: float = 0.75


PARTS = tuple(field.name for field in fields(Weights))


class DenseRanker:
    """Cosine similarity of each record's embedding with the question's. An index finds the nearest records of each type."""

    def __init__(self, stored: Stored, embedder: Embedder, searches: VectorSearches) -> None:
        by_type = enumerate(groupby(record.type for record in stored.records))
        counts = [(f"{n}.{kind}", len(list(records))) for n, (kind, records) in by_type]
        self.search = searches.partitioned(stored.vectors, counts)
        self._embedder = embedder

    async def scores(self, query: str) -> Scores:
        """One per record."""
        vector = (await self._embedder.embed([query]))[0]
        return self.search.similarities(vector).astype(np.float64)


class HybridRanker:
    """The weighted sum of the parts. It ranks units: turns, or single records where a model wrote the records.

    All verbatim records of a turn have the same words, and share its score. With an approximate index, the dense match of all
    units but the nearest is the lowest of the nearest's. Nearly all units then have a dense match close to the mean, so a
    unit at the edge of a session, which lacks a neighbour, is at no disadvantage.
    """

    def __init__(self, stored: Stored, embedder: Embedder, weights: Weights, searches: VectorSearches) -> None:
        self._weights = {part: getattr(weights, part) for part in PARTS}
        self._embedder = embedder
        pairs = zip(stored.places, stored.records, strict=True)
        # A unit's key: its turn's place, and 0 for a turn or the record's number, from 1, for a record.
        keys = [(place, 0 if record.verbatim else i) for i, (place, record) in enumerate(pairs, start=1)]
        units = {key: unit for unit, key in enumerate(sorted(set(keys)))}
        self._unit_of_record = np.array([units[key] for key in keys], np.intp)
        vectors = np.zeros((len(units), stored.vectors.shape[1]), np.float32)
        vectors[self._unit_of_record] = stored.vectors
        self.search = searches.whole("turns", vectors)
        turns = [stored.turns[place] for place, _ in units]
        texts = [stored.turns[place].turn.text if not n else stored.records[n - 1].line for place, n in units]
        self._speakers = sorted({turn.turn.speaker for turn in stored.turns})
        numbers = {name: number for number, name in enumerate(self._speakers)}
        self._speaker = np.array([numbers[turn.turn.speaker] for turn in turns], np.int32)
        # In a dialogue of two, every turn has one of them as speaker and the other as listener, so their names do not
        # distinguish turns. The part `speaker` uses the names instead.
        self._name_words = name_words(self._speakers)
        names = {stem(word) for word in self._name_words}
        self._lexical = LexicalIndex([[s for s in content_stems(text) if s not in names] for text in texts])
        self._session = np.array([turn.session for turn in turns], np.intp)
        self._session_starts = np.flatnonzero(np.diff(self._session, prepend=-1))
        self._dated, self._episodic = _dated_and_episodic(stored, self._unit_of_record, len(units))
        self._question = np.array([text.rstrip().endswith("?") for text in texts], float)

    async def scores(self, query: str) -> Scores:
        """One per record."""
        parts = await self.parts(query)
        total = sum((self._weights[part] * values for part, values in parts.items()), np.zeros(len(self._speaker)))
        return total[self._unit_of_record]

    async def parts(self, query: str) -> dict[str, Scores]:
        """The values that the weights multiply, in the order of PARTS, one per unit."""
        content = [word for word in words(query) if word not in self._name_words]
        stems = [stem(word) for word in content if word not in STOPWORDS]
        vector = (await self._embedder.embed([" ".join(content)]))[0]
        lexical = standardized(self._lexical.scores(stems))
        similarities = self.search.similarities(vector)
        dense = standardized(similarities, self.search.deviation(vector, similarities))
        match = lexical + dense
        speakers = [self._speakers.index(name) for name in mentioned_speakers(query, self._speakers)]
        asks_when = bool(_ASKS_WHEN.search(normalize(query)))
        return {
            "lexical": lexical,
            "coverage": self._lexical.coverage(stems).astype(np.float64),
            "dense": dense,
            "turn_before": self._shifted(match, 1),
            "turn_after": self._shifted(match, -1),
            "two_before": self._shifted(match, 2),
            "two_after": self._shifted(match, -2),
            "session": self._best_of_session(match),
            "speaker": np.isin(self._speaker, speakers).astype(np.float64),
            "dated": self._dated * asks_when,
            "episodic": self._episodic,
            "question": -self._question,
        }

    def _shifted(self, match: Scores, by: int) -> Scores:
        """For each unit the match of the unit `by` places earlier (later, if negative) in its session; 0 if there is none.

        If a model wrote the records, units are records, and the one before may be of the same turn.
        """
        shifted = np.zeros_like(match)
        here, there = (slice(by, None), slice(None, -by)) if by > 0 else (slice(None, by), slice(-by, None))
        shifted[here] = match[there] * (self._session[here] == self._session[there])
        return shifted

    def _best_of_session(self, match: Scores) -> Scores:
        if not len(match):
            return match
        best: Scores = np.maximum.reduceat(match, self._session_starts)
        return np.repeat(best, np.diff(self._session_starts, append=len(match)))


def _dated_and_episodic(stored: Stored, unit_of_record: npt.NDArray[np.intp], units: int) -> tuple[Scores, Scores]:
    """For each unit, whether it names a date other than its session's, and whether one of its records is episodic."""
    dated, episodic = np.zeros((2, units))
    for unit, record, place in zip(unit_of_record, stored.records, stored.places, strict=True):
        started_at = stored.session_dates[stored.turns[place].session]
        dated[unit] = record.anchor is not None and started_at is not None and record.anchor != (started_at.date(),) * 2
        episodic[unit] = max(episodic[unit], record.type is MemoryType.EPISODIC)
    return dated, episodic
