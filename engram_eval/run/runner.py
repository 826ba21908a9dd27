"""The runner: the one place that knows all stages. Samples go in, records come out, one at a time.

    for each conversation, for each backend:  open, ingest the sessions, be ready
        for each question:  recall -> answer -> judge -> record

Memories run one after the other: a recall latency that is measured here had the process to itself. Answers and verdicts of
a model overlap, up to the client's limit; each carries the latency of its own call.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import shutil
import traceback
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from engram_eval.backends.backend import Memory, MemoryBackend, Services, backend_info
from engram_eval.errors import UserError
from engram_eval.llm.cost.metering import Meter
from engram_eval.metrics.answer_in_context import answer_in_context
from engram_eval.metrics.cost import sum_or_none
from engram_eval.metrics.evidence import contains_turn, evidence_found
from engram_eval.results.contexts import TURN_MARK
from engram_eval.results.folder import RecordWriter, RunFolder
from engram_eval.results.record import JudgeDecision, Record
from engram_eval.run.plan import Plan
from engram_eval.run.probe import probe_judge_of
from engram_eval.run.progress import Progress
from engram_eval.system.pool import Pool
from engram_eval.types import Context, Conversation, Item, Question, Turn


@dataclass(frozen=True, slots=True)
class _Opened:
    """A memory that has ingested its conversation, and what that took, cost and could not do."""

    memory: Memory
    cost: dict[str, Any]
    """The part of a record that is the same for all questions of the conversation."""
    holds: Collection[str]
    """The ids of the turns that the memory holds."""


@dataclass(frozen=True, slots=True)
class _Retrieved:
    context: Context
    seconds: float
    dollars: float | None


async def execute(plan: Plan, folder: RunFolder, *, debug: bool = False, keep_memories: bool = False) -> None:
    """Asks all questions of the plan that have no good record yet, and appends their records.

    What fails is recorded as an error and does not stop the run. Raises UserError where records cannot be written.
    """
    done = {record.key for record in folder.records() if record.status == "ok"}
    try:
        folder.state_path.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder.state_path}: cannot be made ({error.strerror}); check the folder's permissions"
        ) from None
    counts = {label: sum(key[0] == label for key in done) for label in plan.backends}
    with (
        folder.appending() as writer,
        Progress(
            plan.conversations, len(plan.chosen), plan.backends, done=counts, headline=plan.dataset.benchmark.headline
        ) as progress,
    ):
        async with Pool(plan.settings.max_in_flight if plan.settings.asks_models() else 1) as pool:
            for sample in plan.dataset.samples():
                questions = [question for question in sample.questions if question.id in plan.chosen]
                for label, backend in plan.backends.items():
                    todo = [question for question in questions if (label, question.id) not in done]
                    if todo:
                        state = folder.state_path / _file_name(label) / _file_name(sample.conversation.id)
                        shutil.rmtree(state, ignore_errors=True)  # of a killed process: its time would not count
                        conversation = sample.conversation
                        run = _ConversationRun(
                            plan, label, backend, conversation, state, folder, writer, progress, pool, debug
                        )
                        await run.ask_all(todo)
                        if not keep_memories:
                            shutil.rmtree(state, ignore_errors=True)
                await _let_interrupts_in()
                if questions:
                    progress.conversation()
    await probe_judge_of(plan.judge, plan.dataset, plan.chosen, plan.settings, folder)
    for empty in [*folder.state_path.glob("*"), folder.state_path]:
        with contextlib.suppress(OSError):  # kept memories are in it
            empty.rmdir()


async def _let_interrupts_in() -> None:
    """Nothing else here need give way to the event loop, and a Ctrl-C is delivered only when something does."""
    await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class _ConversationRun:
    """One conversation with one backend."""

    plan: Plan
    label: str
    backend: MemoryBackend
    conversation: Conversation
    state: Path
    folder: RunFolder
    writer: RecordWriter
    progress: Progress
    pool: Pool
    debug: bool

    async def ask_all(self, questions: list[Question]) -> None:
        try:
            opened = await self._open()
        except (Exception, asyncio.CancelledError) as error:
            self._go_on_after(error, self.conversation.id)
            for question in questions:
                self._write(Record.failed(self.label, question, "ingest", error))
            return
        turns = {turn.id: turn for session in self.conversation.sessions for turn in session.turns}
        try:
            for question in questions:
                recalled = None
                try:
                    recalled = await self._retrieve(question, opened.memory, turns)
                except (Exception, asyncio.CancelledError) as error:
                    self._go_on_after(error, question.id)
                    self._write(Record.failed(self.label, question, "retrieve", error, **opened.cost))
                if recalled is not None:
                    await self.pool.run(self._finish(question, recalled, opened, turns))
                await _let_interrupts_in()
        finally:
            await self._close(opened.memory)

    async def _open(self) -> _Opened:
        self.state.mkdir(parents=True, exist_ok=True)
        services = Services(self.plan.embedder, self.plan.tokens, self.state, self.plan.memory_llm)
        span = _Span(self.plan.roles.meter)
        memory = await self.backend.open(self.conversation.info, services)
        if not callable(getattr(memory, "retrieve", None)):
            raise TypeError(f"open returned {type(memory).__name__}, which has no method 'retrieve'")
        try:
            for session in self.conversation.sessions:
                await memory.ingest(session)
                with span.paused():  # answers of other questions may be taken in meanwhile
                    await _let_interrupts_in()
            if hasattr(memory, "ready"):
                await memory.ready()
        except (Exception, asyncio.CancelledError):
            await self._close(memory)
            raise
        warnings = [str(fault) for fault in getattr(memory, "warnings", ())]
        if warnings:
            self.folder.keep_warnings(self.label, self.conversation.id, warnings)
            self.progress.warning(self.label, warnings[0])
        cost = {"ingest_s": span.seconds(), "ingest_cost_usd": span.dollars(), "ingest_warnings": len(warnings)}
        every = [turn.id for session in self.conversation.sessions for turn in session.turns]
        holds = memory.turn_ids() if hasattr(memory, "turn_ids") else every
        return _Opened(memory, cost, frozenset(holds))

    async def _close(self, memory: Memory) -> None:
        try:
            await memory.close()
        except Exception as error:  # its answers are in already
            self._go_on_after(error, self.conversation.id)

    async def _retrieve(self, question: Question, memory: Memory, turns: dict[str, Turn]) -> _Retrieved:
        if backend_info(self.backend).sees_evidence:
            memory.show_evidence(question.evidence)  # type: ignore[attr-defined]
        span = _Span(self.plan.roles.meter)
        context = await memory.retrieve(question.text, asked_at=question.asked_at, budget=self._budget())
        recalled = _Retrieved(context, span.seconds(), span.dollars())
        _check(context, turns)
        return recalled

    async def _finish(self, question: Question, recalled: _Retrieved, opened: _Opened, turns: dict[str, Turn]) -> None:
        """Answers, judges and writes one question."""
        try:
            record = await self._answered(question, recalled, opened, turns)
        except (Exception, asyncio.CancelledError) as error:
            self._go_on_after(error, question.id)
            record = Record.failed(self.label, question, "answer", error, **opened.cost)
        self._write(record)

    async def _answered(
        self, question: Question, recalled: _Retrieved, opened: _Opened, turns: dict[str, Turn]
    ) -> Record:
        plan = self.plan
        context, cut = self._within(recalled.context, turns)
        began = perf_counter()
        answer = await plan.reader.answer(question.text, asked_at=question.asked_at, context=context)
        answer_s = perf_counter() - began if answer.latency_s is None else answer.latency_s
        began = perf_counter()
        verdict = await plan.judge.judge(question, answer.text)
        judge_s = perf_counter() - began if verdict.latency_s is None else verdict.latency_s
        found = evidence_found(question, turns, context, paraphrased=backend_info(self.backend).paraphrases)
        named = [turn_id for item in recalled.context.items for turn_id in item.turn_ids]
        retrieved = list(dict.fromkeys(turn_id for item in context.items for turn_id in item.turn_ids))
        # Some memories rank all that they hold: what twice the room would have taken was recalled and cut, the rest was not.
        without_room = {*recalled.context.left_out[: len(named)], *named}
        ranked = backend_info(self.backend).context_limit == "budget" and bool(context.items or not context.text)
        return Record.of(
            self.label,
            question,
            answer=answer.text,
            correct=verdict.correct,
            judge=JudgeDecision(
                name=plan.judge.name, votes=verdict.votes, reason=verdict.reason, cost_usd=verdict.cost_usd
            ),
            f1=plan.dataset.benchmark.f1(question, answer.text),
            context_tokens=plan.tokens.count(context.text),
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            cost_usd=sum_or_none([recalled.dollars, answer.cost_usd]),
            retrieval_s=recalled.seconds,
            answer_s=answer_s,
            judge_s=judge_s,
            **opened.cost,
            cached=answer.cached,
            retrieved=tuple(retrieved),
            ranked=ranked,
            retrieved_sessions=tuple(self._sessions_of(retrieved)),
            evidence_recall=len(found) / len(question.evidence) if question.evidence else None,
            evidence_all=len(found) == len(question.evidence) if question.evidence else None,
            evidence_found=tuple(found),
            evidence_truncated=tuple(t for t in question.evidence if t not in found and t in without_room),
            evidence_stored=tuple(t for t in question.evidence if t in opened.holds),
            answer_in_context=None if question.unanswerable else answer_in_context(question.gold, context.text),
            truncated=context.truncated,
            cut=cut,
            context=self.writer.contexts.put(context.text),
            evidence_text=self.writer.contexts.put(
                TURN_MARK.join(turns[turn_id].text for turn_id in question.evidence)
            ),
        )

    def _budget(self) -> int | None:
        limits = {"budget": self.plan.budget, "window": self.plan.reader.window, "none": None}
        return limits[backend_info(self.backend).context_limit]

    def _within(self, context: Context, turns: dict[str, Turn]) -> tuple[Context, bool]:
        """The budget binds every memory: what a memory sends beyond it is cut off, and the turns that stood there.

        Of a memory that paraphrases nobody can tell which these are: all that it names stay.
        """
        budget = self._budget()
        text = context.text if budget is None else self.plan.tokens.cut(context.text, budget)
        if text == context.text:
            return context, False
        if backend_info(self.backend).paraphrases:
            return Context(text, context.items, context.truncated), True
        items = (
            replace(i, turn_ids=tuple(t for t in i.turn_ids if contains_turn(turns[t], text))) for i in context.items
        )
        return Context(text, tuple(item for item in items if item.turn_ids), context.truncated), True

    def _sessions_of(self, turn_ids: Iterable[str]) -> list[str]:
        """The distinct sessions of turns, each where its first turn stands."""
        session_of = {turn.id: session.id for session in self.conversation.sessions for turn in session.turns}
        return list(dict.fromkeys(session_of[turn_id] for turn_id in turn_ids))

    def _write(self, record: Record) -> None:
        self.folder.keep_cache_keys(self.plan.roles.take_used_keys())
        self.writer.append(record)
        self.progress.question(record)

    def _go_on_after(self, error: BaseException, where: str) -> None:
        """Lets the run go on after a fault of a memory, reader or judge.

        Not after a Ctrl-C, nor after a UserError: no further call can succeed. The run stops, and can be resumed.
        """
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise error
        if isinstance(error, UserError):
            raise UserError(f"{error} (at {self.label}, {where})") from error
        if self.debug:
            traceback.print_exception(error)


def _check(context: object, turns: dict[str, Turn]) -> None:
    """Refuses what is no context, before it is measured as one."""
    if not isinstance(context, Context) or not isinstance(context.text, str):
        raise TypeError(f"retrieve returned {type(context).__name__}, not a Context with a text")
    for item in context.items:
        if not isinstance(item, Item) or not isinstance(item.turn_ids, tuple):
            raise TypeError("an item of the context is no Item with a tuple of turn ids")
        for turn_id in item.turn_ids:
            if turn_id not in turns:
                raise ValueError(f"retrieve named turn {turn_id!r}, which this conversation does not have")


class _Span:
    """Seconds and dollars since it was made, as they would have been had nothing been cached."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._began_s, self._began_usd = perf_counter() + meter.unmeasured_s, meter.cost_usd
        self._unpriced = meter.unpriced

    def seconds(self) -> float:
        return max(0.0, perf_counter() + self._meter.unmeasured_s - self._began_s)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Around what is no part of it."""
        began = perf_counter()
        yield
        self._began_s += perf_counter() - began

    def dollars(self) -> float | None:
        """None if a model has no price. Rounded, to be the same in whatever order calls came back."""
        if self._meter.unpriced > self._unpriced:
            return None
        return round(self._meter.cost_usd - self._began_usd, 12)


def _file_name(text: str) -> str:
    """Any name as the name of a file: no separators, nothing that climbs out of the folder."""
    name = re.sub(r"[^\w-]", lambda match: f"%{ord(match[0]):x}", text, flags=re.ASCII) or "%"
    return name if len(name) <= 100 else hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
