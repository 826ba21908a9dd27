"""The backend: settings, and a memory that ties router, extractor, store and recall together."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from engram_eval.backends.backend import ExpectedCall, Services, expected_embedding
from engram_eval.backends.engram.extractor import MemoryRecord, extract
from engram_eval.backends.engram.llm_extraction import EXTRACTOR, ROUTER, expected_calls, extract_with_llm
from engram_eval.backends.engram.nearest import INSTALL, Choice, Neighbours, installed
from engram_eval.backends.engram.packing import Costs, merge, pack
from engram_eval.backends.engram.ranking import PARTS, DenseRanker, HybridRanker, Scores, Weights
from engram_eval.backends.engram.router import MemoryType
from engram_eval.backends.engram.store import Store, Stored
from engram_eval.embedders.embedder import Vectors
from engram_eval.language.prompt import Prompt
from engram_eval.llm.cost.metering import ChatModel
from engram_eval.types import Context, ConversationInfo, Session

if TYPE_CHECKING:
    from engram_eval.llm import Completion

_BY_MODEL = {"router": "llm", "extractor": "llm"}
_PAPER = {**_BY_MODEL, "ranker": "dense", "k": 20, "total": 25}  # k and K are not checked against the paper's text


@dataclass(frozen=True)
class EngramBackend(Weights):
    """Typed memories (arXiv 2511.12960). By rules no model is asked; the paper's router and extractor are a model.

    `k`: records of each type that recall takes before the types are merged; `total`: records after merging; not `typed`:
    one memory for all, and `k` records of it; `index`: the dense part is exact, approximate (`nearest`), or exact as long as
    few records are stored. The others are the hybrid ranker's weights (`ranking`).
    """

    router: Literal["rules", "llm"] = "rules"
    extractor: Literal["rules", "llm"] = "rules"
    ranker: Literal["hybrid", "dense"] = "hybrid"
    typed: bool = True
    k: int = 40
    total: int = 60
    index: Choice = "auto"

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "dense": {"ranker": "dense"},
        "untyped": {"typed": False},
        "llm": _BY_MODEL,
        "paper": _PAPER,
        "paper-untyped": {**_PAPER, "typed": False},
        "paper-rules-router": {**_PAPER, "router": "rules"},
    }

    def __post_init__(self) -> None:
        if min(self.k, self.total) < 1:
            raise ValueError("k and total must be at least 1")
        if not all(0 <= getattr(self, part) < math.inf for part in PARTS):
            raise ValueError("weights must be finite and not negative")
        if self.index == "approximate" and not installed():
            raise ValueError(f"index=approximate needs the package faiss-cpu; install it with: {INSTALL}")

    @property
    def paraphrases(self) -> bool:
        return self.extractor == "llm"

    @property
    def asks_model(self) -> bool:
        return "llm" in (self.router, self.extractor)

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        asked = {ROUTER: self.router, EXTRACTOR: self.extractor}
        return tuple(prompt for prompt, by in asked.items() if by == "llm")

    def expected_calls(self, session: Session, count_tokens: Callable[[str], int]) -> Iterator[ExpectedCall]:
        yield from expected_calls(session, count_tokens, router=self.router, extractor=self.extractor)
        yield expected_embedding(session)

    async def open(self, conversation: ConversationInfo, services: Services) -> EngramMemory:  # noqa: ARG002
        return EngramMemory(self, services)


@dataclass(frozen=True)
class DegradedBackend(EngramBackend):
    """A control: `engram` with every second of the records that it ranked thrown away, the best one first."""

    control: ClassVar[bool] = True

    async def open(self, conversation: ConversationInfo, services: Services) -> EngramMemory:  # noqa: ARG002
        return EngramMemory(self, services, kept=slice(1, None, 2))


@dataclass
class _Loaded:
    stored: Stored
    ranker: DenseRanker | HybridRanker
    costs: Costs = field(repr=False)
    counts: Counter[MemoryType]


class _UntilClosed:
    """Makes no further calls once its memory is being closed."""

    def __init__(self, llm: ChatModel, closed: Callable[[], bool]) -> None:
        self.model = llm.model
        self._llm, self._closed = llm, closed

    async def chat(self, **call: Any) -> Completion:
        if self._closed():
            raise asyncio.CancelledError
        return await self._llm.chat(**call)


Embedded = list[tuple[MemoryRecord, Vectors]]


class EngramMemory:
    """`warnings`: what the model could not do, and was done by rules instead."""

    def __init__(self, settings: EngramBackend, services: Services, *, kept: slice = slice(None)) -> None:
        self._settings = settings
        self._services = services
        self._kept = kept
        self._loaded: _Loaded | None = None
        self._extracting: dict[
            str, tuple[Session, asyncio.Task[tuple[Embedded, list[str]]]]
        ] = {}  # a model's work, by session
        self._closing = False
        self.warnings: list[str] = []
        embedder = services.embedder
        self._store = Store(services.folder / "engram.sqlite", embedder=embedder.name, dimensions=embedder.dimensions)

    async def ingest(self, session: Session) -> None:
        if self._store.has(session) or session.id in self._extracting:
            return
        self._loaded = None
        if self._settings.asks_model:  # sessions do not depend on each other: all are asked about at once
            self._extracting[session.id] = session, asyncio.create_task(self._by_model(session))
        else:
            self._store.add(session, await self._embedded(extract(session), session))

    async def ready(self) -> None:
        for session_id, (session, task) in list(self._extracting.items()):
            records, faults = await asyncio.shield(task)
            self._store.add(session, records)
            self.warnings += faults
            del self._extracting[session_id]
        stored = self._store.load()
        embedder, tokens = self._services.embedder, self._services.tokens
        of = self._settings
        near = Neighbours(of.index, self._services.folder, max(of.k, of.total))
        dense = of.ranker == "dense"
        ranker = DenseRanker(stored, embedder, near) if dense else HybridRanker(stored, embedder, of, near)
        stored = replace(stored, vectors=stored.vectors[:0].copy())  # the ranker has what it needs of them
        self._loaded = _Loaded(stored, ranker, Costs.of(stored, tokens), Counter(r.type for r in stored.records))

    async def retrieve(
        self,
        query: str,
        *,
        asked_at: datetime | None,  # noqa: ARG002
        budget: int | None,
        without: Collection[str] = (),
    ) -> Context:
        """Records of turns `without` alone, which stand elsewhere, are passed over."""
        if self._loaded is None:
            await self.ready()
        assert self._loaded is not None
        of, stored, costs = self._settings, self._loaded.stored, self._loaded.costs
        scores: Scores = await self._loaded.ranker.scores(query)
        counts = self._loaded.counts
        merged = merge(stored.records, scores, k=of.k, total=of.total, typed=of.typed, counts=counts, without=without)[
            self._kept
        ]
        return pack(stored, merged, scores, costs, self._services.tokens, budget, typed=of.typed)

    def turn_ids(self) -> frozenset[str]:
        """The turns that its records come from: what a model's router left aside is not there."""
        records = self._loaded.stored.records if self._loaded else ()
        return frozenset(turn_id for record in records for turn_id in record.turn_ids)

    async def close(self) -> None:
        """Waits for calls that are under way: they are paid for, and will be in the cache."""
        self._closing = True
        await asyncio.gather(*(task for _, task in self._extracting.values()), return_exceptions=True)
        self._store.close()

    async def _by_model(self, session: Session) -> tuple[Embedded, list[str]]:
        of = self._settings
        if self._services.llm is None:
            raise ValueError("no model was named for router and extractor")
        llm = _UntilClosed(self._services.llm, lambda: self._closing)
        extraction = await extract_with_llm(llm, session, router=of.router, extractor=of.extractor)
        return await self._embedded(extraction.records, session), extraction.warnings

    async def _embedded(self, records: list[MemoryRecord], session: Session) -> Embedded:
        """The records with their embeddings; a turn's words without the resolved dates, which are for the reader and
        would draw every dated turn together."""
        spoken = {turn.id: f"{turn.speaker}: {turn.text}" for turn in session.turns}
        texts = [spoken[record.turn_ids[0]] if record.verbatim else record.line for record in records]
        distinct = list(dict.fromkeys(texts))
        rows = dict(zip(distinct, await self._services.embedder.embed(distinct), strict=True))
        return [(record, rows[text]) for record, text in zip(records, texts, strict=True)]
