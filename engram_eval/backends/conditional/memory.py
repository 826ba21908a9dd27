"""The `conditional` backend: its settings, and a memory that ties store, tables and scoring together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from engram_eval.backends.backend import ExpectedCall, Services, expected_embedding
from engram_eval.backends.conditional import scoring
from engram_eval.backends.conditional.addressing import HEADS, ORDERS, Ids, token_id, tokens
from engram_eval.backends.conditional.checksums import DamagedFileError
from engram_eval.backends.conditional.scoring import Spread
from engram_eval.backends.conditional.store import Store
from engram_eval.backends.conditional.tables import GROWTH, SMALLEST, DamagedTablesError, Tables
from engram_eval.backends.scores import Scores, standardized
from engram_eval.backends.speakers import mentioned_speakers, name_words
from engram_eval.backends.transcript import Transcript
from engram_eval.embedders.embedder import Vectors
from engram_eval.errors import note
from engram_eval.language.words import words
from engram_eval.types import Context, ConversationInfo, Session, Turn

_TURNS_AT_A_TIME = 4096  # read back from the store
_SHORTEST_LINE = 4  # tokens: a speaker, a colon, a word and a line break


@dataclass(frozen=True)
class ConditionalBackend:
    """Turns found by hashed N-grams in constant time (after DeepSeek's Engram, arXiv 2601.07372).

    `agreement`: how many of an N-gram's eight heads must name a turn. `pair`, `triple`: weights of N-grams of two and three
    words, where one word has weight 1; if both are 0, only single words are looked up. `length`: from 0 to 1, how much less
    the words of a long turn count (BM25's b). `gated`: whether scores are gated by the similarity of a turn's embedding to
    the question's. `kernel`, `after`, `before`: shares of a score that neighbouring turns receive (`scoring.Spread`).
    `speaker`: a bonus for turns by a speaker whom the question names, in standard deviations of the scores of the candidates
    and their neighbours. `shortlist`: how many candidates, those with the highest N-gram scores, are gated and spread.
    `seed`: of the hash multipliers.

    `length`, `kernel`, `after`, `before` and `speaker` are from a grid of 48 tried on five LoCoMo conversations: evidence
    recall there is 0.806, 0.808 with the best of the grid, and 0.807 if the values for each conversation are those that are
    best on the other four (benchmarks/tune_conditional.py). What each part contributes: benchmarks/ablations.md.
    """

    agreement: int = 4
    pair: float = 0.3
    triple: float = 0.3
    length: float = 0.4
    gated: bool = True
    kernel: float = 0.1
    after: float = 0.7
    before: float = 0.5
    speaker: float = 1.5
    shortlist: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.agreement <= HEADS:
            raise ValueError(f"agreement must be from 1 to {HEADS}")
        weights = (self.pair, self.triple, self.kernel, self.after, self.before, self.speaker)
        if not all(0 <= weight < math.inf for weight in weights):
            raise ValueError("weights must be finite and not negative")
        if self.shortlist < 1:
            raise ValueError("shortlist must be at least 1")
        if not 0 <= self.length <= 1:
            raise ValueError("length must be from 0 to 1")
        if not 0 <= self.seed < 1 << 64:
            raise ValueError("seed must be from 0 to 2^64 - 1")

    def expected_calls(self, session: Session, count_tokens: Callable[[str], int]) -> list[ExpectedCall]:  # noqa: ARG002
        return [expected_embedding(session)]

    async def open(self, conversation: ConversationInfo, services: Services) -> ConditionalMemory:  # noqa: ARG002
        memory = ConditionalMemory(self, services)
        try:
            await memory.repair()
        except BaseException:
            memory.abandon()
            raise
        return memory


class ConditionalMemory:
    """What it keeps in the process's memory does not grow with what is stored."""

    def __init__(self, settings: ConditionalBackend, services: Services) -> None:
        self._settings = settings
        self._services = services
        self._spread = Spread(settings.kernel, settings.after, settings.before)
        embedder = services.embedder
        self._store = Store(services.folder, embedder=embedder.name, dimensions=embedder.dimensions)
        self._path = services.folder / "turns.tables"
        try:
            self._tables = Tables(self._path, seed=settings.seed)
        except DamagedTablesError as error:
            self._tables = self._rebuilt(error)
        if self._tables.turns > self._store.turns:
            self._rebuild(DamagedTablesError("the tables have turns that the store does not have"))

    # --- ingest ---

    async def ingest(self, session: Session) -> None:
        if self._store.has(session):
            return
        ids = [_ids(turn) for turn in session.turns]
        self._store.add(session, await self._embed(session.turns), [len(row) for row in ids])
        try:
            if self._tables.turns + len(ids) != self._store.turns:  # after a rebuild that failed on a full disk
                raise DamagedTablesError("the tables lack turns of the store")
            self._tables.add(ids)
        except DamagedTablesError as error:
            self._rebuild(error)
        if self._tables.full:
            self._grow()

    async def _embed(self, turns: Sequence[Turn]) -> Vectors:
        return await self._services.embedder.embed([f"{turn.speaker}: {turn.text}" for turn in turns])

    async def ready(self) -> None:
        try:
            self._tables.flush()
        except DamagedTablesError as error:
            self._rebuild(error)

    # --- retrieve ---

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:  # noqa: ARG002
        numbers, scores = await self._look_up_or_repair(*await self.encode_query(query), repairs=2)
        best = np.argsort(-scores, kind="stable")[: None if budget is None else budget // _SHORTEST_LINE + 1]
        places = np.sort(best)
        transcript = Transcript(self._services.tokens)
        for session in self._store.sessions_with(numbers[places].tolist()):
            transcript.add(session)
        ranked: list[int] = np.searchsorted(places, best).tolist()
        return transcript.context(ranked, scores[places].tolist(), budget)

    async def encode_query(self, query: str) -> tuple[str, Vectors, list[int]]:
        """A question's words without speakers' names, their embedding, and the numbers of the speakers that it names."""
        names = name_words(self._store.speakers)
        content = " ".join(word for word in words(query) if word not in names)
        vector = (await self._services.embedder.embed([content]))[0]
        speakers = mentioned_speakers(query, self._store.speakers)
        return content, vector, [self._store.speakers.index(name) for name in speakers]

    def look_up(self, content: str, vector: Vectors, speakers: list[int]) -> tuple[Ids, Scores]:
        """Turn numbers, ascending, and their scores: the turns that share N-grams with a question, and their neighbours.

        Takes what `encode_query` returns. Raises DamagedFileError.
        """
        settings, turns = self._settings, self._store.turns
        candidates, ngram_scores = self._candidates(content)
        if not len(candidates):
            return candidates, ngram_scores
        numbers = scoring.with_neighbours(candidates, self._spread, turns)
        facts = self._store.facts(numbers)
        at_candidates = np.searchsorted(numbers, candidates)
        ngram_scores /= scoring.length_penalty(facts["words"][at_candidates], settings.length)
        if settings.gated:
            # Standardized over the candidates, because all embeddings of one conversation resemble each other. (The published
            # layer learns its projections, so that there a product of 0 is neutral.)
            similarities = (self._store.vectors(candidates) @ vector).astype(np.float64)
            ngram_scores *= scoring.gate(standardized(similarities))
        scores = np.zeros(len(numbers))
        scores[at_candidates] = ngram_scores
        total = scoring.spread_scores(numbers, facts["session"], scores, self._spread)
        total += settings.speaker * total.std() * np.isin(facts["speaker"], speakers)
        return numbers, total

    def _candidates(self, content: str) -> tuple[Ids, Scores]:
        """The turns of the shortlist, ascending, and their N-gram scores."""
        settings = self._settings
        weights = (1.0, settings.pair, settings.triple)
        orders = max(order for order, weight in zip(ORDERS, weights, strict=True) if weight)
        ids = [token_id(token) for token in tokens(content)]
        matches = self._tables.find(ids, agreement=settings.agreement, orders=orders)
        turns, scores = scoring.ngram_scores(matches, weights[:orders], self._store.turns)
        best = np.sort(np.argsort(-scores, kind="stable")[: settings.shortlist])
        return turns[best], scores[best]

    async def _look_up_or_repair(
        self, content: str, vector: Vectors, speakers: list[int], *, repairs: int
    ) -> tuple[Ids, Scores]:
        try:
            return self.look_up(content, vector, speakers)
        except DamagedFileError as error:
            if not repairs:
                raise
            if isinstance(error, DamagedTablesError):
                self._rebuild(error)
            else:
                await self._restore(error)
        return await self._look_up_or_repair(content, vector, speakers, repairs=repairs - 1)

    # --- close and repair ---

    async def close(self) -> None:
        try:
            await self.ready()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Closes the files as they are, as if the process had been killed."""
        self._tables.abandon()
        self._store.close()

    async def repair(self) -> None:
        """Restores what a crash or damage has left behind: incomplete files of the store, and tables that lack its turns."""
        if incomplete := self._store.incomplete():
            await self._restore(DamagedFileError(f"{self._services.folder / incomplete}: the file is too short"))
        try:
            if not self._catch_up(self._tables):
                self._grow()
        except DamagedTablesError as error:
            self._rebuild(error)
        await self.ready()

    async def _restore(self, error: DamagedFileError) -> None:
        """Writes the store's facts and vectors again, from its turns."""
        note(f"{error}; rebuilt from the turns")
        first = 0
        for rows in self._store.scan(0, _TURNS_AT_A_TIME):
            turns = [turn for _, turn in rows]
            lengths = [len(tokens(turn.text)) for turn in turns]
            self._store.restore(first, rows, await self._embed(turns), lengths)
            first += len(rows)

    def _rebuild(self, error: DamagedTablesError) -> None:
        self._replace(self._rebuilt(error))

    def _rebuilt(self, error: DamagedTablesError) -> Tables:
        note(f"{self._path}: {error}; rebuilt from the turns")
        return self._filled(SMALLEST)

    def _grow(self) -> None:
        """Larger tables, filled from the store. All growth together writes each turn 1/3 to 4/3 more times on average."""
        self._replace(self._filled(self._tables.room * GROWTH))

    def _replace(self, tables: Tables) -> None:
        """Called when the new tables are on disk, so that the old ones stay open if there was no room for the new ones."""
        self._tables.abandon()
        self._tables = tables

    def _filled(self, room: int) -> Tables:
        """New tables with all turns of the store. Their file replaces the old one."""
        new = self._path.with_name(self._path.name + ".new")
        while True:
            new.unlink(missing_ok=True)
            tables = Tables(new, seed=self._settings.seed, room=room)
            try:
                if self._catch_up(tables):
                    tables.flush()
                    new.replace(self._path)
                    return tables
            except BaseException:
                tables.abandon()
                new.unlink(missing_ok=True)
                raise
            tables.abandon()
            room *= GROWTH

    def _catch_up(self, tables: Tables) -> bool:
        """Adds the turns of the store that tables lack. Returns False if there is no room for all."""
        for rows in self._store.scan(tables.turns, _TURNS_AT_A_TIME):
            tables.add([_ids(turn) for _, turn in rows])
            if tables.full:
                return False
        return True


def _ids(turn: Turn) -> list[int]:
    return [token_id(token) for token in tokens(turn.text)]
