"""The `engram` backend: its settings, and a memory that ties router, extractor, store, ranker and packing together."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from engram_eval.backends.backend import ExpectedCall, Services, expected_embedding
from engram_eval.backends.engram.banks import merge_banks, pack_banks
from engram_eval.backends.engram.batch_calls import BatchCalls
from engram_eval.backends.engram.extractor import MemoryRecord, extract
from engram_eval.backends.engram.llm_extraction import LLMExtraction
from engram_eval.backends.engram.message_calls import MessageCalls
from engram_eval.backends.engram.model_calls import CallForm
from engram_eval.backends.engram.packing import Costs, merge, pack
from engram_eval.backends.engram.ranking import PARTS, DenseRanker, HybridRanker, Weights
from engram_eval.backends.engram.router import MemoryType
from engram_eval.backends.engram.store import Store, Stored
from engram_eval.backends.engram.vector_search import INSTALL, SearchMode, VectorSearches, faiss_installed
from engram_eval.embedders.embedder import Vectors
from engram_eval.language.prompt import Prompt
from engram_eval.types import Context, ConversationInfo, Session

if TYPE_CHECKING:
    pass

_WITH_LLM = {"router": "llm", "extractor": "llm"}
_RANKED = {"ranker": "dense", "k": 25, "total": 25, "fill": False}
_PAPER = {**_WITH_LLM, "calls": "message", "stores": "speaker", **_RANKED}
_FORMS: dict[str, CallForm] = {"batch": BatchCalls(), "message": MessageCalls()}
_TOKENS_A_RECORD = 37  # in the paper, for K up to 30 (figure 2)


@dataclass(frozen=True)
class EngramBackend(Weights):
    """Typed memories (arXiv 2511.12960). Router and extractor are rules by default; in the paper, a model.

    `calls`: whether a model is shown a batch of turns or, as in the paper, one message without context (`batch_calls`,
    `message_calls`). `stores`: one for all, or one a speaker; then contexts have the paper's form too (`banks`). `types`: the
    only memory that is kept, for ablations.
    `k`: how many records of each type are retrieved before the types are merged; `total`, the paper's K: how many remain
    after merging. `fill`: both grow where the budget has room for more records (`limits`).
    `typed=false`: one memory for all records, of which `k` are retrieved. `index`: whether embeddings are compared exactly,
    with an approximate index, or (`auto`) with an index only for many records; see `vector_search`. The other settings are
    the weights of the hybrid ranker; see `ranking`.
    """

    router: Literal["rules", "llm"] = "rules"
    extractor: Literal["rules", "llm"] = "rules"
    calls: Literal["batch", "message"] = "batch"
    stores: Literal["one", "speaker"] = "one"
    types: Literal["all", "episodic", "semantic", "procedural"] = "all"
    ranker: Literal["hybrid", "dense"] = "hybrid"
    typed: bool = True
    k: int = 40
    total: int = 60
    fill: bool = True
    index: SearchMode = "auto"

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "dense": {"ranker": "dense"},
        "untyped": {"typed": False},
        "llm": _WITH_LLM,
        "batched": {**_WITH_LLM, **_RANKED},
        "paper": _PAPER,
        "paper-untyped": {**_PAPER, "typed": False},
        "paper-episodic": {**_PAPER, "types": "episodic"},
        "paper-semantic": {**_PAPER, "types": "semantic"},
        "paper-procedural": {**_PAPER, "types": "procedural"},
        "paper-rules-router": {**_PAPER, "router": "rules"},
    }
    setting_notes: ClassVar[dict[str, str]] = {
        "k": "open in the paper: tables 1 and 2 say 20, figure 3 says 25; engram:paper has 25",
        "total": "open in the paper: 25 per speaker, or in all; engram:paper has 25 in all",
    }

    def __post_init__(self) -> None:
        if min(self.k, self.total) < 1:
            raise ValueError("k and total must be at least 1")
        if not all(0 <= getattr(self, part) < math.inf for part in PARTS):
            raise ValueError("weights must be finite and not negative")
        if self.index == "approximate" and not faiss_installed():
            raise ValueError(f"index=approximate needs the package faiss-cpu; install it with: {INSTALL}")

    def limits(self, room: float) -> tuple[int, int]:
        """`k` and `total` for a budget with room for so many records of average length.

        With `fill`, `total` is at least half as many again, since the types share records and the best may be short.
        """
        if not self.fill:
            return self.k, self.total
        return max(self.k, math.ceil(room)), max(self.total, math.ceil(1.5 * room))

    @property
    def renders_by_type(self) -> bool:
        """Whether a context has a heading for each type, as in the paper, or is in time order.

        Records that a model wrote stand by themselves. Turns do not: "Yes, a red one." is clear only below the turn that it
        answers, which often has another type. In time order, a session's date also costs its tokens once, not once per type.
        """
        return self.typed and self.extractor == "llm"

    @property
    def published_embedder(self) -> str | None:
        """The paper's embedder, for the paper's memory. A run has one embedder for all of its memories."""
        return "openai:text-embedding-3-small" if self.calls == "message" else None

    @property
    def paraphrases(self) -> bool:
        return self.extractor == "llm"

    @property
    def asks_model(self) -> bool:
        return "llm" in (self.router, self.extractor)

    @property
    def kinds(self) -> frozenset[MemoryType]:
        """The types of the records that are kept."""
        return frozenset(MemoryType) if self.types == "all" else frozenset({MemoryType(self.types)})

    @property
    def extraction(self) -> LLMExtraction:
        return LLMExtraction(_FORMS[self.calls], self.router, self.extractor, self.kinds)

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        form = _FORMS[self.calls]
        return (
            *(form.router_prompts if self.router == "llm" else ()),
            *(form.extractor_prompts if self.extractor == "llm" else ()),
        )

    def expected_calls(self, session: Session, count_tokens: Callable[[str], int]) -> Iterator[ExpectedCall]:
        yield from self.extraction.expected_calls(session, count_tokens)
        yield expected_embedding(session)

    def expected_context_tokens(self, budget: int) -> float:
        """The length of a context, where it is limited by the number of records."""
        return float(budget) if self.fill else min(budget, _TOKENS_A_RECORD * self.total)

    async def open(self, conversation: ConversationInfo, services: Services) -> EngramMemory:
        return EngramMemory(self, services, conversation)


@dataclass(frozen=True)
class DegradedBackend(EngramBackend):
    """Control: `engram` without the first, third, fifth … of the records that it ranked."""

    control: ClassVar[bool] = True

    async def open(self, conversation: ConversationInfo, services: Services) -> EngramMemory:
        return EngramMemory(self, services, conversation, kept=slice(1, None, 2))


@dataclass
class _Loaded:
    """What retrieval reads, loaded from the store when ingestion ends."""

    stored: Stored
    ranker: DenseRanker | HybridRanker
    costs: Costs = field(repr=False)
    counts: Counter[MemoryType]


EmbeddedRecords = list[tuple[MemoryRecord, Vectors]]


@dataclass(frozen=True, slots=True)
class _Extracting:
    """A session whose records a model is making."""

    session: Session
    task: asyncio.Task[tuple[EmbeddedRecords, list[str]]]
    """Gives the records and the warnings."""


class EngramMemory:
    """`warnings`: which parts of the model's work the rules had to do, one sentence each."""

    def __init__(
        self,
        settings: EngramBackend,
        services: Services,
        conversation: ConversationInfo,
        *,
        kept: slice = slice(None),
    ) -> None:
        self._settings = settings
        self._services = services
        self._kept = kept
        self._loaded: _Loaded | None = None
        self._extracting: dict[str, _Extracting] = {}  # by session id
        self.warnings: list[str] = []
        self._stores: dict[str, Store] = {}  # by speaker; "" for one that all share
        for speaker in conversation.speakers if settings.stores == "speaker" else ("",):
            self._store_of(speaker)

    async def ingest(self, session: Session) -> None:
        if session.id in self._extracting or all(store.has(part) for store, part in self._parts(session)):
            return
        self._loaded = None
        if self._settings.asks_model:  # sessions do not depend on each other, so the model is asked about all at once
            self._extracting[session.id] = _Extracting(session, asyncio.create_task(self._extract(session)))
        else:
            records = [record for record in extract(session) if record.type in self._settings.kinds]
            self._add(session, await self._embed(records, session))

    async def ready(self) -> None:
        for session_id, extracting in list(self._extracting.items()):
            records, warnings = await asyncio.shield(extracting.task)
            self._add(extracting.session, records)
            self.warnings += warnings
            del self._extracting[session_id]
        stored = Stored.joined([store.load() for store in self._stores.values()])
        embedder, tokens, settings = self._services.embedder, self._services.tokens, self._settings
        searches = VectorSearches(settings.index, self._services.folder, max(settings.k, settings.total))
        ranker = (
            DenseRanker(stored, embedder, searches)
            if settings.ranker == "dense"
            else HybridRanker(stored, embedder, settings, searches)
        )
        stored = replace(stored, vectors=stored.vectors[:0].copy())  # the ranker keeps what it needs of them
        counts = Counter(record.type for record in stored.records)
        self._loaded = _Loaded(stored, ranker, Costs.of(stored, tokens), counts)

    async def retrieve(
        self,
        query: str,
        *,
        asked_at: datetime | None,  # noqa: ARG002
        budget: int | None,
        exclude: Collection[str] = (),
    ) -> Context:
        """As `Memory.retrieve`. Records that come only from turns in `exclude` are skipped."""
        if self._loaded is None:
            await self.ready()
        assert self._loaded is not None
        settings, loaded = self._settings, self._loaded
        scores = await loaded.ranker.scores(query)
        k, total = settings.limits(budget / loaded.costs.mean if budget else 0.0)
        tokens = self._services.tokens
        if settings.stores == "speaker":
            stored = loaded.stored
            merged = merge_banks(stored, scores, k=k, total=total, typed=settings.typed, exclude=exclude)[self._kept]
            return pack_banks(stored, merged, scores, tokens, budget)
        merged = merge(
            loaded.stored.records,
            scores,
            k=k,
            total=total,
            typed=settings.typed,
            counts=loaded.counts,
            exclude=exclude,
        )[self._kept]
        return pack(loaded.stored, merged, scores, loaded.costs, tokens, budget, by_type=settings.renders_by_type)

    def turn_ids(self) -> frozenset[str]:
        """The turns that its records come from. A model's router may leave turns out."""
        records = self._loaded.stored.records if self._loaded else ()
        return frozenset(turn_id for record in records for turn_id in record.turn_ids)

    async def close(self) -> None:
        """Waits for model calls that are under way: they will be paid for, and their answers go into the cache."""
        await asyncio.gather(*(extracting.task for extracting in self._extracting.values()), return_exceptions=True)
        for store in self._stores.values():
            store.close()

    def _store_of(self, speaker: str) -> Store:
        if speaker not in self._stores:
            number = f".{len(self._stores)}" if self._settings.stores == "speaker" else ""
            path, embedder = self._services.folder / f"engram{number}.sqlite", self._services.embedder
            self._stores[speaker] = Store(path, embedder=embedder.name, dimensions=embedder.dimensions)
        return self._stores[speaker]

    def _parts(self, session: Session) -> list[tuple[Store, Session]]:
        """Each store with the turns of the session that belong there."""
        if self._settings.stores == "one":
            return [(self._store_of(""), session)]
        speakers = dict.fromkeys(turn.speaker for turn in session.turns)
        return [
            (self._store_of(speaker), replace(session, turns=tuple(t for t in session.turns if t.speaker == speaker)))
            for speaker in speakers
        ]

    def _add(self, session: Session, records: EmbeddedRecords) -> None:
        for store, part in self._parts(session):
            turn_ids = {turn.id for turn in part.turns}
            if not store.has(part):  # an interrupted memory may have filled one store and not the other
                store.add(part, [(record, vector) for record, vector in records if record.turn_ids[0] in turn_ids])

    async def _extract(self, session: Session) -> tuple[EmbeddedRecords, list[str]]:
        if self._services.llm is None:
            raise ValueError("router and extractor need a model; name one with --model")
        extraction = await self._settings.extraction.extract(self._services.llm, session)
        return await self._embed(extraction.records, session), extraction.warnings

    async def _embed(self, records: list[MemoryRecord], session: Session) -> EmbeddedRecords:
        """The records with their embeddings.

        A verbatim record is embedded without the resolved dates. They are meant for the reader, and in the embeddings they
        would make all dated turns similar.
        """
        originals = {turn.id: f"{turn.speaker}: {turn.text}" for turn in session.turns}
        texts = [originals[record.turn_ids[0]] if record.verbatim else record.line for record in records]
        distinct = list(dict.fromkeys(texts))
        vectors = dict(zip(distinct, await self._services.embedder.embed(distinct), strict=True))
        return [(record, vectors[text]) for record, text in zip(records, texts, strict=True)]
