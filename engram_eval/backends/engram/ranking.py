"""The rankers: how well each record of a memory matches a question.

`dense` is the paper's: cosine similarity between embeddings. `hybrid` adds what dialogue needs, each part in units of
its own standard deviation so that the weights are plain ratios:

- lexical: BM25 over the turns, because names and rare words decide where an averaged embedding cannot;
- neighbours: a turn shares the evidence of the turns beside it, the turn before it more than the turn after it,
  because an answer follows its question;
- speaker: a question that names one of the speakers is mostly answered by that speaker's own turns; "I" and "my" name
  the user, "you" the assistant, where the speakers are these two roles.

What each part is worth, and how the weights do on conversations that they were not chosen on: benchmarks/tune.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from engram_eval.backends.engram.nearest import Neighbours
from engram_eval.backends.engram.store import Stored
from engram_eval.backends.lexical import LexicalIndex
from engram_eval.embedding import Embedder, Vectors
from engram_eval.text import STOPWORDS, content_stems, stem, words

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weights:
    """All against a lexical score of weight 1."""

    dense: float
    turn_before: float
    turn_after: float
    speaker: float


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
    """Lexical and dense match of the turns, spread to their neighbours, with a bonus for the speaker asked about.

    From an index, the dense match of all but the nearest turns is the lowest of the nearest's. These others, nearly all,
    then stand at the mean: what has no neighbour, at a session's edge, loses nothing against them.
    """

    def __init__(self, stored: Stored, embedder: Embedder, weights: Weights, neighbours: Neighbours) -> None:
        self._weights = weights
        self._embedder = embedder
        # What is ranked: a turn, where records keep its words (all of them the same), else a record by itself.
        pairs = zip(stored.places, stored.records, strict=True)
        keys = [(place, 0 if record.verbatim else i) for i, (place, record) in enumerate(pairs, start=1)]
        units = {key: unit for unit, key in enumerate(sorted(set(keys)))}
        self._places = np.array([units[key] for key in keys], np.intp)
        unit_vectors = np.zeros((len(units), stored.vectors.shape[1]), np.float32)
        unit_vectors[self._places] = stored.vectors
        self._nearest = neighbours.of("turns", unit_vectors)
        turns = [stored.turns[place] for place, _ in units]
        texts = [stored.turns[place].turn.text if not n else stored.records[n - 1].line for place, n in units]
        everyone = sorted({turn.turn.speaker for turn in stored.turns})
        self._numbers = {name: number for number, name in enumerate(everyone)}
        self._speakers = np.array([self._numbers[turn.turn.speaker] for turn in turns], np.int32)
        self._speaker_words = {name: frozenset(words(name)) for name in everyone}
        # In a dialogue of two everything is said by one or to the other, so the names do not tell turns apart; what
        # they do say of who is meant is the speaker bonus.
        self._name_words = frozenset(word for group in self._speaker_words.values() for word in group)
        names = {stem(word) for word in self._name_words}
        self._lexical = LexicalIndex([[s for s in content_stems(text) if s not in names] for text in texts])
        sessions = np.array([turn.session for turn in turns])
        self._same_session = sessions[1:] == sessions[:-1]

    async def scores(self, query: str) -> Scores:
        asked = words(query)
        content = [word for word in asked if word not in self._name_words]
        vector = (await self._embedder.embed([" ".join(content)]))[0]
        weights = self._weights
        match = _standardised(self._lexical.scores([stem(word) for word in content if word not in STOPWORDS]))
        near = self._nearest.similarities(vector)
        match += weights.dense * _standardised(near, self._nearest.deviation(vector, near))
        spread = match.copy()
        spread[1:] += weights.turn_before * match[:-1] * self._same_session
        spread[:-1] += weights.turn_after * match[1:] * self._same_session
        for name in self._asked_about(set(asked)):
            spread += weights.speaker * (self._speakers == self._numbers[name])
        return spread[self._places]

    def _asked_about(self, asked: set[str]) -> list[str]:
        roles = {"user": {"i", "me", "my", "mine"}, "assistant": {"you", "your"}}
        if self._speaker_words.keys() <= roles.keys():
            return [name for name in self._speaker_words if roles[name] & asked]
        return [name for name, name_words in self._speaker_words.items() if name_words & asked]


def _standardised(scores: Vectors, deviation: float | None = None) -> Scores:
    if not len(scores):
        return scores.astype(np.float64)
    spread = float(scores.std()) if deviation is None else deviation
    wide = scores.astype(np.float64)
    return (wide - wide.mean()) / spread if spread > 0 else np.zeros_like(wide)
