"""The backend: settings, and a memory that ties store, tables and fusion together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from engram_eval.backends.backend import ExpectedCall, Services, expected_embedding
from engram_eval.backends.conditional import fusion
from engram_eval.backends.conditional.addressing import HEADS, ORDERS, Ids, token_id, tokens
from engram_eval.backends.conditional.checksums import TornFileError
from engram_eval.backends.conditional.fusion import Scores, Spread
from engram_eval.backends.conditional.store import Store
from engram_eval.backends.conditional.tables import GROWTH, SMALLEST, Tables, TornTableError
from engram_eval.backends.lexical import standardised
from engram_eval.backends.speakers import name_words, named
from engram_eval.backends.transcript import Transcript
from engram_eval.embedders.embedder import Vectors
from engram_eval.errors import note
from engram_eval.language.words import words
from engram_eval.types import Context, ConversationInfo, Session, Turn

_AT_A_TIME = 4096  # turns read back from the store at a time
_SHORTEST_LINE = 4  # tokens: a speaker, a colon, a word and a line break


@dataclass(frozen=True)
class ConditionalBackend:
    """Turns looked up by hashed N-grams in constant time (after DeepSeek's Engram, arXiv 2601.07372).

    `agreement`: heads of an N-gram, of eight, that must name a turn; `pair` and `triple`: what N-grams of orders 2 and 3
    count, where a word counts 1 (both 0: words alone are looked up); `length`: from 0 to 1, how much a long turn's words count
    less (BM25's b); `gated`: whether scores are gated by how near a turn's embedding is to the question's; `kernel`, `after`,
    `before`: shares passed on to neighbouring turns (`fusion.Spread`); `speaker`: the bonus of turns by a speaker whom the
    question names, in standard deviations of the scores of the candidates and the turns around them; `shortlist`: turns that
    are gated and spread, those whose N-grams are worth most.

    `length`, `kernel`, `after`, `before` and `speaker` lie in a grid of 48 tried on five LoCoMo conversations: evidence recall
    is 0.806 there, 0.808 with the grid's best, and 0.807 where each conversation's are the best on the other four
    (benchmarks/tune_conditional.py). What each is worth: benchmarks/ablations.md.
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
    """Of the hash multipliers."""

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
            await memory.mend()
        except BaseException:
            memory.abandon()
            raise
        return memory


class ConditionalMemory:
    """What is held in memory does not grow with what is stored."""

    def __init__(self, settings: ConditionalBackend, services: Services) -> None:
        self._settings = settings
        self._services = services
        self._spread = Spread(settings.kernel, settings.after, settings.before)
        embedder = services.embedder
        self._store = Store(services.folder, embedder=embedder.name, dimensions=embedder.dimensions)
        self._path = services.folder / "turns.tables"
        try:
            self._tables = Tables(self._path, seed=settings.seed)
        except TornTableError as error:
            self._tables = self._torn(error)
        if self._tables.turns > self._store.turns:
            self._rebuild(TornTableError("it holds turns that the store does not"))

    async def mend(self) -> None:
        """Makes again what a crash or a damaged file took: facts and vectors of turns, and tables behind the store."""
        if missing := self._store.missing():
            await self._restore(TornFileError(f"{self._services.folder / missing}: it is cut short"))
        try:
            if not self._catch_up(self._tables):
                self._grow()
        except TornTableError as error:
            self._rebuild(error)
        await self.ready()

    async def ingest(self, session: Session) -> None:
        if self._store.has(session):
            return
        ids = [_ids(turn) for turn in session.turns]
        self._store.add(session, await self._embedded(session.turns), [len(row) for row in ids])
        try:
            if self._tables.turns + len(ids) != self._store.turns:  # after a rebuild for which there was no room
                raise TornTableError("it lacks turns of the store")
            self._tables.add(ids)
        except TornTableError as error:
            self._rebuild(error)
        if self._tables.full:
            self._grow()

    async def _embedded(self, turns: Sequence[Turn]) -> Vectors:
        return await self._services.embedder.embed([f"{turn.speaker}: {turn.text}" for turn in turns])

    async def ready(self) -> None:
        try:
            self._tables.flush()
        except TornTableError as error:
            self._rebuild(error)

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:  # noqa: ARG002
        numbers, scores = await self._looked_up(*await self.encode_query(query), mends=2)
        best = np.argsort(-scores, kind="stable")[: None if budget is None else budget // _SHORTEST_LINE + 1]
        places = np.sort(best)
        transcript = Transcript(self._services.tokens)
        for session in self._store.sessions_with(numbers[places].tolist()):
            transcript.add(session)
        ranked: list[int] = np.searchsorted(places, best).tolist()
        return transcript.context(ranked, scores[places].tolist(), budget)

    async def _looked_up(self, content: str, vector: Vectors, speakers: list[int], *, mends: int) -> tuple[Ids, Scores]:
        try:
            return self.look_up(content, vector, speakers)
        except TornFileError as error:
            if not mends:
                raise
            if isinstance(error, TornTableError):
                self._rebuild(error)
            else:
                await self._restore(error)
        return await self._looked_up(content, vector, speakers, mends=mends - 1)

    async def encode_query(self, query: str) -> tuple[str, Vectors, list[int]]:
        """A question's words without speakers' names, their embedding, and the speakers whom it names."""
        names = name_words(self._store.speakers)
        content = " ".join(word for word in words(query) if word not in names)
        vector = (await self._services.embedder.embed([content]))[0]
        return content, vector, [self._store.speakers.index(name) for name in named(query, self._store.speakers)]

    def look_up(self, content: str, vector: Vectors, speakers: list[int]) -> tuple[Ids, Scores]:
        """Turn numbers, ascending, with their scores: what the heads found for a question that is `understood`, and what
        is near it. Raises TornFileError.
        """
        of, turns = self._settings, self._store.turns
        weights = (1.0, of.pair, of.triple)
        orders = max(order for order, weight in zip(ORDERS, weights, strict=True) if weight)
        found = self._tables.find([token_id(token) for token in tokens(content)], agreement=of.agreement, orders=orders)
        candidates, values = fusion.values(found, weights[:orders], turns)
        best = np.sort(np.argsort(-values, kind="stable")[: of.shortlist])
        candidates, values = candidates[best], values[best]
        if not len(candidates):
            return candidates, values
        numbers = fusion.around(candidates, self._spread, turns)
        facts = self._store.facts(numbers)
        where = np.searchsorted(numbers, candidates)
        values /= fusion.length_penalty(facts["words"][where], of.length)
        if of.gated:
            # In deviations from the candidates' mean: embeddings of one conversation all resemble each other. (The published
            # layer learns its projections, so that a product of 0 is neither for nor against.)
            similarities = (self._store.vectors(candidates) @ vector).astype(np.float64)
            values *= fusion.gate(standardised(similarities))
        scores = np.zeros(len(numbers))
        scores[where] = values
        spread = fusion.smooth(numbers, facts["session"], scores, self._spread)
        spread += of.speaker * spread.std() * np.isin(facts["speaker"], speakers)
        return numbers, spread

    async def close(self) -> None:
        try:
            await self.ready()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Closes the files as they are, like a process that is killed."""
        self._tables.abandon()
        self._store.close()

    def _torn(self, error: TornTableError) -> Tables:
        note(f"{self._path}: {error}; made again from the turns")
        return self._filled(SMALLEST)

    async def _restore(self, error: TornFileError) -> None:
        """Writes facts and vectors again."""
        note(f"{error}; made again from the turns")
        first = 0
        for rows in self._store.scan(0, _AT_A_TIME):
            turns = [turn for _, turn in rows]
            lengths = [len(tokens(turn.text)) for turn in turns]
            self._store.restore(first, rows, await self._embedded(turns), lengths)
            first += len(rows)

    def _rebuild(self, error: TornTableError) -> None:
        self._replace(self._torn(error))

    def _grow(self) -> None:
        """Larger tables, filled from the store: all growth together writes a turn 1/3 to 4/3 times more on average."""
        self._replace(self._filled(self._tables.room * GROWTH))

    def _replace(self, tables: Tables) -> None:
        """Only now, when the new ones are on disk: where there was no room for them, the old ones are still open."""
        self._tables.abandon()
        self._tables = tables

    def _filled(self, room: int) -> Tables:
        """Tables with all turns of the store, in place of those on disk."""
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
        """Writes turns of the store that tables lack; False if there is no room for all."""
        for rows in self._store.scan(tables.turns, _AT_A_TIME):
            tables.add([_ids(turn) for _, turn in rows])
            if tables.full:
                return False
        return True


def _ids(turn: Turn) -> list[int]:
    return [token_id(token) for token in tokens(turn.text)]
