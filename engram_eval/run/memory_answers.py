"""A memory backend with a reader, as a source of answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Protocol, runtime_checkable

from engram_eval.backends.backend import Memory, MemoryBackend, Services, backend_info
from engram_eval.backends.packing import packed
from engram_eval.embedders.embedder import Embedder
from engram_eval.language.tokens import TokenCounter
from engram_eval.llm.cost.metering import Meter, MeteredLLM
from engram_eval.metrics.cost import sum_or_none
from engram_eval.metrics.named_turns import NamedTurns
from engram_eval.readers.reader import Reader
from engram_eval.results.contexts import TURN_MARK
from engram_eval.run.answer_source import SourceAnswer, Workspace, context_fields
from engram_eval.run.memory_calls import MemoryCalls
from engram_eval.system.event_loop import LoopWatch, awaited
from engram_eval.types import Context, Conversation, Item, Question, Turn


@runtime_checkable
class _Metered(Protocol):
    """An embedder that counts its time and cost. A third party's need not."""

    def metered(self, meter: Meter) -> Embedder: ...


@dataclass(frozen=True, slots=True)
class MemoryAnswers:
    """`budget`: context tokens that bind every memory. The embedder and the model are metered for each memory apart."""

    backend: MemoryBackend
    reader: Reader
    embedder: Embedder
    tokens: TokenCounter
    llm: MeteredLLM | None
    budget: int
    timeout_s: float = 600.0
    """The longest that one call of a memory may take."""

    @property
    def overlaps(self) -> bool:
        return backend_info(self.backend).asks_model

    def missing(self, question: Question) -> str | None:  # noqa: ARG002 - a memory can always try
        return None

    async def open(self, conversation: Conversation, workspace: Workspace) -> _OpenMemory:
        """Opens a memory and ingests the conversation."""
        workspace.folder.mkdir(parents=True, exist_ok=True)
        meter = Meter()
        llm = self.llm.metered(meter) if self.llm else None
        embedder = self.embedder.metered(meter) if isinstance(self.embedder, _Metered) else self.embedder
        services = Services(embedder, self.tokens, workspace.folder, llm, asyncio.get_running_loop())
        calls = MemoryCalls(conversation.id, self.timeout_s, asks_model=backend_info(self.backend).asks_model)
        span = _Span(meter)
        memory = await calls.call(self.backend.open, conversation.info, services)
        if not callable(getattr(memory, "retrieve", None)):
            raise TypeError(f"open returned {type(memory).__name__}, which has no method 'retrieve'")
        try:
            for session in conversation.sessions:
                await calls.call(memory.ingest, session)
                with span.paused():  # other questions may finish meanwhile
                    await asyncio.sleep(0)
            if hasattr(memory, "ready"):
                await calls.call(memory.ready)
        except (Exception, asyncio.CancelledError):
            if llm:
                llm.stop()
            with contextlib.suppress(Exception):  # the first error is the one to report
                await calls.call(memory.close)
            calls.end()
            raise
        warnings = [str(warning) for warning in getattr(memory, "warnings", ())]
        if warnings:
            workspace.warn(warnings)
        fields = {"ingest_s": span.seconds(), "ingest_cost_usd": span.dollars(), "ingest_warnings": len(warnings)}
        stored = await calls.call(memory.turn_ids) if hasattr(memory, "turn_ids") else None
        return _OpenMemory(self, memory, calls, meter, fields, conversation, stored, workspace)

    @property
    def context_limit(self) -> int | None:
        """The tokens that a context may have; None for no limit."""
        limits = {"budget": self.budget, "window": self.reader.window, "none": None}
        return limits[backend_info(self.backend).context_limit]


@dataclass(frozen=True, slots=True)
class _Retrieved:
    """`waited`: whether other work could go on meanwhile."""

    context: Context
    seconds: float
    dollars: float | None
    waited: bool


class _OpenMemory:
    """A memory that has ingested its conversation."""

    def __init__(
        self,
        source: MemoryAnswers,
        memory: Memory,
        calls: MemoryCalls,
        meter: Meter,
        fields: Mapping[str, Any],
        conversation: Conversation,
        stored: Collection[str] | None,
        workspace: Workspace,
    ) -> None:
        self.fields = fields
        self._source, self._memory, self._calls, self._meter, self._workspace = source, memory, calls, meter, workspace
        self._info = backend_info(source.backend)
        self._turns = {turn.id: turn for session in conversation.sessions for turn in session.turns}
        self._session_of = {turn.id: session.id for session in conversation.sessions for turn in session.turns}
        self._turn_order = tuple(self._turns)
        self._stored = frozenset(self._turns if stored is None else stored)
        self._named_turns = NamedTurns(self._turns, paraphrased=self._info.paraphrases)

    async def retrieve(self, question: Question) -> _Retrieved:
        if self._info.sees_evidence:
            await self._calls.call(self._memory.show_evidence, question.evidence)  # type: ignore[attr-defined]
        span, watch = _Span(self._meter), LoopWatch()
        limit = self._source.context_limit
        result = await self._calls.call(self._memory.retrieve, question.text, asked_at=question.asked_at, budget=limit)
        seconds, dollars, waited = span.seconds(), span.dollars(), watch.ran  # packing is no work of the memory
        context = packed(result, limit, self._source.tokens.count, turn_order=self._turn_order)
        return _Retrieved(_require_context(context, self._turns), seconds, dollars, waited)

    async def answer(self, question: Question, retrieved: _Retrieved) -> SourceAnswer:
        source = self._source
        sent = replace(retrieved.context, text=self._within_limit(retrieved.context.text))
        cut = sent.text != retrieved.context.text
        began = perf_counter()
        answer = await awaited(source.reader.answer(question.text, asked_at=question.asked_at, context=sent))
        answer_s = perf_counter() - began if answer.latency_s is None else answer.latency_s
        return SourceAnswer(
            answer.text,
            {
                "prompt_tokens": answer.prompt_tokens,
                "completion_tokens": answer.completion_tokens,
                "cost_usd": sum_or_none([retrieved.dollars, answer.cost_usd]),
                "retrieval_s": retrieved.seconds,
                "answer_s": answer_s,
                "first_token_s": answer.first_token_s,
                "server_cached_tokens": answer.server_cached_tokens,
                "reasoning_removed": answer.reasoning_removed,
                "cached": answer.cached,
                "truncated": sent.truncated,
                "cut": cut,
                **self._retrieval_fields(question, sent, shortened=cut or sent.truncated),
            },
        )

    def _retrieval_fields(self, question: Question, sent: Context, *, shortened: bool) -> dict[str, Any]:
        """The fields that follow from the context as it was sent, and from what the memory names.

        `shortened`: something was left out to fit, so named turns that the text does not hold may have been cut.
        """
        context = self._named_turns.held(sent)
        of_context = context_fields(
            question, self._turns, context, tokens=self._source.tokens, contexts=self._workspace.contexts
        )
        # Some memories rank everything they hold: of that, only what fits twice the budget counts as retrieved and cut.
        without_room = {*sent.left_out[: len(sent.turn_ids)], *(sent.turn_ids if shortened else ())}
        evidence_text = TURN_MARK.join(self._turns[turn_id].text for turn_id in question.evidence)
        return {
            **of_context,
            "evidence_claimed": _share(question.evidence, sent.turn_ids) if self._info.paraphrases else None,
            "retrieved": context.turn_ids,
            "ranked": self._info.context_limit == "budget" and bool(sent.items or not sent.text),
            "retrieved_sessions": tuple(self._sessions_of(context.turn_ids)),
            "evidence_truncated": tuple(
                t for t in question.evidence if t not in of_context["evidence_found"] and t in without_room
            ),
            "evidence_stored": tuple(t for t in question.evidence if t in self._stored),
            "evidence_text": self._workspace.contexts.put(evidence_text),
        }

    def _within_limit(self, text: str) -> str:
        """The text without what exceeds the limit."""
        limit = self._source.context_limit
        return text if limit is None else self._source.tokens.cut(text, limit)

    def _sessions_of(self, turn_ids: Iterable[str]) -> list[str]:
        """The distinct sessions of the turns, each at the place of its first turn."""
        return list(dict.fromkeys(self._session_of[turn_id] for turn_id in turn_ids))

    async def close(self) -> None:
        try:
            await self._calls.call(self._memory.close)
        finally:
            self._calls.end()


def _share(part: Collection[str], whole: Collection[str]) -> float | None:
    """The share of `part` that is in `whole`; None if `part` is empty."""
    return sum(each in whole for each in part) / len(part) if part else None


def _require_context(context: object, turns: Mapping[str, Turn]) -> Context:
    """The context. Raises TypeError or ValueError for what cannot be measured as one."""
    if not isinstance(context, Context) or not isinstance(context.text, str):
        raise TypeError(f"retrieve returned {type(context).__name__}, not a Context with a text or a list of hits")
    for item in context.items:
        if not isinstance(item, Item) or not isinstance(item.turn_ids, tuple):
            raise TypeError("an item of the context is no Item with a tuple of turn ids")
        for turn_id in item.turn_ids:
            if turn_id not in turns:
                raise ValueError(f"retrieve named turn {turn_id!r}, which this conversation does not have")
    return context


class _Span:
    """Seconds and dollars since it was made, as if nothing had been cached."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._began_s, self._began_usd = perf_counter() + meter.unmeasured_s, meter.cost_usd
        self._unpriced = meter.unpriced

    def seconds(self) -> float:
        return max(0.0, perf_counter() + self._meter.unmeasured_s - self._began_s)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Around work that does not belong to it."""
        began = perf_counter()
        yield
        self._began_s += perf_counter() - began

    def dollars(self) -> float | None:
        """None if a model has no price. Rounded, so that the order in which calls returned does not matter."""
        if self._meter.unpriced > self._unpriced:
            return None
        return round(self._meter.cost_usd - self._began_usd, 12)
