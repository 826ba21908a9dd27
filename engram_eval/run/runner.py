"""The runner: the one place that knows all stages. Conversations and questions go in, records come out one at a time.

    for each conversation, for each source of answers:  open (a memory ingests the sessions)
        for each question:  retrieve -> answer -> judge -> record

Sources are asked one after the other. Answers and verdicts of a model overlap, up to the client's limit, and so does the
ingestion of memories that ask a model (`opening`). Each call carries its own latency, and each memory has its own meter.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import shutil
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from engram_eval.errors import UserError
from engram_eval.results.folder import RecordWriter, RunFolder
from engram_eval.results.record import JudgeDecision, Record
from engram_eval.run.answer_source import AnswerSource, OpenSource, Workspace
from engram_eval.run.opening import Job, Openings
from engram_eval.run.plan import Plan
from engram_eval.run.probe import probe_judge_of
from engram_eval.run.progress import Progress
from engram_eval.system.event_loop import awaited
from engram_eval.system.files import make_folder
from engram_eval.system.pool import Pool
from engram_eval.types import Question, Verdict

Step = Literal["ingest", "retrieve", "answer", "judge"]


async def execute(
    plan: Plan, folder: RunFolder, *, show_progress: bool = False, debug: bool = False, keep_memories: bool = False
) -> None:
    """Asks every question of the plan that has no good record yet, and appends the records.

    A failure is recorded as an error and does not stop the run. Raises UserError if no further call can succeed, or if
    records cannot be written.
    """
    status = {record.key: record.status for record in folder.records()}
    make_folder(folder.state_path, fix="check the folder's permissions")
    done = {label: sum(key[0] == label and status[key] == "ok" for key in status) for label in plan.sources}
    progress = Progress(
        plan.conversations, len(plan.chosen), plan.sources, done=done,
        headline=plan.dataset.benchmark.headline, shown=show_progress,
    )  # fmt: skip
    plan.clients.report_to(progress.sent_again)
    with folder.appending() as writer, progress:
        async with Pool(plan.calls_in_flight, announce=show_progress) as pool:
            work = _Work(plan, folder, writer, progress, pool, debug, keep_memories)
            async with Openings(_jobs(plan, status), work.open, overlap=plan.ingests_ahead) as openings:
                for jobs in openings.conversations():
                    for job in jobs:
                        await work.ask(job, openings)
                    await _let_interrupts_in()
                    progress.conversation()
    await probe_judge_of(plan, folder)
    for empty in [*folder.state_path.glob("*"), folder.state_path]:
        with contextlib.suppress(OSError):  # it holds memories that are kept
            empty.rmdir()


def _jobs(plan: Plan, status: Mapping[tuple[str, str], str]) -> Iterator[list[Job]]:
    """The jobs of each conversation that has chosen questions; none if all have good records."""
    for sample in plan.dataset.samples():
        if questions := [question for question in sample.questions if question.id in plan.chosen]:
            yield [
                Job(label, source, sample.conversation, todo)
                for label, source in plan.sources.items()
                if (todo := [q for q in questions if _is_open(source, q, status.get((label, q.id)))])
            ]


def _is_open(source: AnswerSource, question: Question, status: str | None) -> bool:
    """Whether a question with that record needs another one. An error for lack of an answer stays as it is."""
    return status is None if source.missing(question) else status != "ok"


async def _let_interrupts_in() -> None:
    """Ctrl-C is delivered only when a task yields to the event loop, and nothing else here has to."""
    await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class _Work:
    plan: Plan
    folder: RunFolder
    writer: RecordWriter
    progress: Progress
    pool: Pool
    debug: bool
    keep_memories: bool

    async def open(self, job: Job) -> OpenSource:
        """Opens a source for the questions about one conversation."""
        state = self._state(job)
        shutil.rmtree(state, ignore_errors=True)  # left by a killed process: what it took would not be counted
        return await job.source.open(job.conversation, self._workspace(job.label, job.conversation.id, state))

    async def ask(self, job: Job, openings: Openings) -> None:
        """Asks one source the questions about one conversation."""
        label, conversation_id = job.label, job.conversation.id
        try:
            opened = await openings.take(job)
        except (Exception, asyncio.CancelledError) as error:
            self._continue_after(error, label, conversation_id)
            for question in job.questions:
                self._fail(label, question, "ingest", error)
        else:
            try:
                for question in job.questions:
                    if reason := job.source.missing(question):
                        self.write(Record.of(label, question, status="error", error=reason))
                    else:
                        await self._ask_question(label, opened, question, openings)
            finally:
                await self._close(label, opened, conversation_id)
        if not self.keep_memories:
            shutil.rmtree(self._state(job), ignore_errors=True)

    def _state(self, job: Job) -> Path:
        return self.folder.state_path / _file_name(job.label) / _file_name(job.conversation.id)

    async def _ask_question(self, label: str, opened: OpenSource, question: Question, openings: Openings) -> None:
        others = self.pool.busy or openings.busy
        try:
            retrieved = await opened.retrieve(question)
            contended = getattr(retrieved, "waited", False) and (others or openings.busy)
        except (Exception, asyncio.CancelledError) as error:
            self._continue_after(error, label, question.id)
            self._fail(label, question, "retrieve", error, **opened.fields)
        else:
            await self.pool.run(self._finish(label, opened, question, retrieved, contended=contended))
        await _let_interrupts_in()

    async def _finish(
        self, label: str, opened: OpenSource, question: Question, retrieved: Any, *, contended: bool
    ) -> None:
        """Answers, judges and writes one question."""
        step: Step = "answer"
        fields = {**opened.fields, "contended": contended}
        try:
            answer = await opened.answer(question, retrieved)
            step = "judge"
            fields |= {"answer": answer.text, **answer.fields}
            fields |= await self._judge(question, answer.text)
        except (Exception, asyncio.CancelledError) as error:
            self._continue_after(error, label, question.id)
            self._fail(label, question, step, error, **fields)
        else:
            self.write(Record.of(label, question, **fields))

    async def _judge(self, question: Question, answer: str) -> dict[str, Any]:
        """The fields of the record that the judge decides."""
        judge = self.plan.judge
        began = perf_counter()
        verdict: Verdict = await awaited(judge.judge(question, answer))
        judge_s = perf_counter() - began if verdict.latency_s is None else verdict.latency_s
        decision = JudgeDecision(
            name=judge.name, votes=verdict.votes, reason=verdict.reason, cost_usd=verdict.cost_usd
        )  # fmt: skip
        f1 = self.plan.dataset.benchmark.f1(question, answer)
        return {"correct": verdict.correct, "judge": decision, "f1": f1, "judge_s": judge_s}

    async def _close(self, label: str, opened: OpenSource, conversation_id: str) -> None:
        try:
            await opened.close()
        except Exception as error:  # its answers are recorded already
            self._continue_after(error, label, conversation_id)

    def _workspace(self, label: str, conversation_id: str, state: Path) -> Workspace:
        def warn(warnings: Sequence[str]) -> None:
            self.folder.keep_warnings(label, conversation_id, warnings)
            self.progress.warning(label, warnings[0])

        return Workspace(state, self.writer.contexts, warn)

    def _fail(self, label: str, question: Question, step: Step, error: BaseException, **fields: Any) -> None:
        self.write(Record.failed(label, question, step, error, **fields))

    def write(self, record: Record) -> None:
        self.folder.keep_cache_keys(self.plan.clients.take_used_keys())
        self.writer.append(record)
        self.progress.question(record)

    def _continue_after(self, error: BaseException, label: str, where: str) -> None:
        """Returns after a fault of a memory, reader or judge, so that the run continues.

        Raises after Ctrl-C, and after a UserError, because no further call can succeed: the run can be resumed.
        """
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise error
        if isinstance(error, UserError):
            raise UserError(f"{error} (at {label}, {where})") from error
        if self.debug:
            traceback.print_exception(error)


def _file_name(text: str) -> str:
    """Any text as the name of a folder of `[A-Za-z0-9_-]`: some systems take no other, and nothing leads out of the folder.

    A name that had to be changed ends with a part of the text's hash, so that different texts have different names.
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")
    if name == text and len(name) <= 100:
        return name
    return f"{name[:80]}-{hashlib.sha256(text.encode('utf-8', 'backslashreplace')).hexdigest()[:10]}".lstrip("-")
