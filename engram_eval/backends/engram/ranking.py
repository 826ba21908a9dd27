"""The rankers: how well each record of a memory matches a question.

`dense` is the paper's: cosine similarity between embeddings. `hybrid` is a weighted sum of what dialogue needs beside it:

    lexical      BM25: names and rare words decide where an averaged embedding cannot
    coverage     the share of the question's words, weighed by rarity, that the turn has: several words beat one said often
    turn_before  the lexical and dense match of the turn before, two_before of the one before that, and so
    turn_after   and two_after: an answer follows its question, and need not repeat its words
    session      the best match in the turn's session: what a question is about was talked of there
    speaker      the turn is by a speaker whom the question names
    dated        the question asks for a time, and the turn says one
    episodic     the turn tells of an event
    question     the turn ends in a question, which asks for facts more than it holds any: this one counts against

Lexical and dense match are in units of their own standard deviation over the memory. The weights are those of a
conditional logit, the chance of a turn being evidence being proportional to exp(its score), fitted on five LoCoMo
conversations; benchmarks/fit_ranker.py fits them again, and says how they do on conversations they were not fitted on.
What each part is worth: benchmarks/ablations.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from itertools import groupby

import numpy as np
import numpy.typing as npt

from engram_eval.backends.engram.nearest import Neighbours
from engram_eval.backends.engram.router import MemoryType
from engram_eval.backends.engram.store import Stored
from engram_eval.backends.lexical import LexicalIndex, standardised
from engram_eval.backends.speakers import name_words, named
from engram_eval.embedders.embedder import Embedder
from engram_eval.language.words import STOPWORDS, content_stems, normalize, stem, words

Scores = npt.NDArray[np.float64]

_ASKS_WHEN = re.compile(r"\b(?:when|how long|(?:what|which) (?:year|month|week|date|day|time))\b")


@dataclass(frozen=True)
class Weights:
    """Of the hybrid ranker's parts; 0 leaves one out. The same for every embedder."""

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
    """Cosine similarity of each record's embedding with the question's; from an index, that of the nearest of each type."""

    def __init__(self, stored: Stored, embedder: Embedder, neighbours: Neighbours) -> None:
        types = [(str(kind), len(list(run))) for kind, run in groupby(record.type for record in stored.records)]
        self._nearest = neighbours.of_each(stored.vectors, types)
        self._embedder = embedder

    async def scores(self, query: str) -> Scores:
        vector = (await self._embedder.embed([query]))[0]
        return self._nearest.similarities(vector).astype(np.float64)


class HybridRanker:
    """The weighted sum of a turn's parts; records that keep a turn's words all have its score.

    From an index, the dense match of all but the nearest turns is the lowest of the nearest's. These others, nearly all,
    then stand at the mean: what has no neighbour, at a session's edge, loses nothing against them.
    """

    def __init__(self, stored: Stored, embedder: Embedder, weights: Weights, neighbours: Neighbours) -> None:
        self._weights = {part: getattr(weights, part) for part in PARTS}
        self._embedder = embedder
        # What is ranked: a turn, where records keep its words (all of them the same), else a record by itself.
        pairs = zip(stored.places, stored.records, strict=True)
        keys = [(place, 0 if record.verbatim else i) for i, (place, record) in enumerate(pairs, start=1)]
        units = {key: unit for unit, key in enumerate(sorted(set(keys)))}
        self._places = np.array([units[key] for key in keys], np.intp)
        vectors = np.zeros((len(units), stored.vectors.shape[1]), np.float32)
        vectors[self._places] = stored.vectors
        self._nearest = neighbours.of("turns", vectors)
        turns = [stored.turns[place] for place, _ in units]
        texts = [stored.turns[place].turn.text if not n else stored.records[n - 1].line for place, n in units]
        self._speakers = sorted({turn.turn.speaker for turn in stored.turns})
        numbers = {name: number for number, name in enumerate(self._speakers)}
        self._by = np.array([numbers[turn.turn.speaker] for turn in turns], np.int32)
        # In a dialogue of two everything is said by one or to the other, so the names do not tell turns apart; what
        # they do say of who is meant is the speaker's part.
        self._name_words = name_words(self._speakers)
        names = {stem(word) for word in self._name_words}
        self._lexical = LexicalIndex([[s for s in content_stems(text) if s not in names] for text in texts])
        self._session = np.array([turn.session for turn in turns], np.intp)
        self._session_starts = np.flatnonzero(np.diff(self._session, prepend=-1))
        self._dated, self._episodic = np.zeros((2, len(units)))
        for unit, record, place in zip(self._places, stored.records, stored.places, strict=True):
            said = stored.session_dates[stored.turns[place].session]
            self._dated[unit] = record.anchor is not None and said is not None and record.anchor != (said.date(),) * 2
            self._episodic[unit] = max(self._episodic[unit], record.type is MemoryType.EPISODIC)
        self._question = np.array([text.rstrip().endswith("?") for text in texts], float)

    async def scores(self, query: str) -> Scores:
        parts = await self.parts(query)
        total = sum((self._weights[part] * values for part, values in parts.items()), np.zeros(len(self._by)))
        return total[self._places]

    async def parts(self, query: str) -> dict[str, Scores]:
        """The values that the weights are for, by PARTS, one a turn."""
        content = [word for word in words(query) if word not in self._name_words]
        stems = [stem(word) for word in content if word not in STOPWORDS]
        vector = (await self._embedder.embed([" ".join(content)]))[0]
        lexical = standardised(self._lexical.scores(stems))
        near = self._nearest.similarities(vector)
        dense = standardised(near, self._nearest.deviation(vector, near))
        match = lexical + dense
        asked_about = [self._speakers.index(name) for name in named(query, self._speakers)]
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
            "speaker": np.isin(self._by, asked_about).astype(np.float64),
            "dated": self._dated * asks_when,
            "episodic": self._episodic,
            "question": -self._question,
        }

    def _shifted(self, match: Scores, by: int) -> Scores:
        """The match of the unit so many before (after, if negative) in the same session; 0 where there is none.

        A unit is a turn, but where a model wrote the records: there it is a record, and the one before may be of the same turn.
        """
        out = np.zeros_like(match)
        here, there = (slice(by, None), slice(None, -by)) if by > 0 else (slice(None, by), slice(-by, None))
        out[here] = match[there] * (self._session[here] == self._session[there])
        return out

    def _best_of_session(self, match: Scores) -> Scores:
        if not len(match):
            return match
        best: Scores = np.maximum.reduceat(match, self._session_starts)
        return np.repeat(best, np.diff(self._session_starts, append=len(match)))
