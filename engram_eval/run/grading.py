"""Grading answers that were made elsewhere: a file of answers in, a run like any other out.

A line of the file is a JSON object: LongMemEval's official {"question_id", "hypothesis"}, or {"question_id", "answer"} with
the ids of this project's questions ("conv-26:q0"). Where both stand in a line, `hypothesis` is what was said: `answer`
is the gold then, copied from the dataset. A line may also tell what it took: `context`, the text that the answer was
made from, `prompt_tokens`, `completion_tokens`, `cost_usd`, `retrieval_s` and `answer_s`.

A question without an answer is an error, told and counted, and never a wrong answer; an empty answer is an answer.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from engram_eval.datasets.dataset import Dataset
from engram_eval.errors import UserError
from engram_eval.judges.judge import Judge
from engram_eval.language.tokens import TokenCounter, token_counter
from engram_eval.metrics.answer_in_context import answer_in_context
from engram_eval.metrics.evidence import evidence_found
from engram_eval.results.folder import RecordWriter, RunFolder
from engram_eval.results.manifest import (
    RECORDED,
    BackendEntry,
    DatasetInfo,
    EmbedderInfo,
    Experiment,
    JudgeInfo,
    ModelInfo,
    ReaderInfo,
)
from engram_eval.results.record import JudgeDecision, Record
from engram_eval.run.answer_file import Answers, Recorded
from engram_eval.run.models import ModelClients, resolve_defaults
from engram_eval.run.plan import categories_asked, open_dataset
from engram_eval.run.probe import probe_judge_of
from engram_eval.run.progress import Progress
from engram_eval.run.settings import Settings
from engram_eval.system.pool import Pool
from engram_eval.tables.text import plural
from engram_eval.types import Context, Question, Turn


@dataclass(frozen=True)
class Grading:
    """A file of answers and the questions they answer, ready to be judged; `label` is the backend of the records.

    `chosen`: ids of the questions of the categories asked for; `missing`: those of them that have no answer, in order.
    """

    settings: Settings
    label: str
    answers: Answers
    dataset: Dataset
    chosen: frozenset[str]
    conversations: int
    missing: tuple[str, ...]
    judge: Judge
    roles: ModelClients
    tokens: TokenCounter
    why: dict[str, str]
    """For the lines that stand before the run."""


def make_grading(settings: Settings, answers: Answers, label: str, *, spent_usd: float = 0.0) -> Grading:
    """Opens all and holds the answers against the questions. Raises UserError before anything is judged."""
    settings = resolve_defaults(settings)
    tokens = token_counter(settings.encoding)
    dataset, why_dataset = open_dataset(settings)
    wanted = categories_asked(dataset, settings)
    known: set[str] = set()
    chosen: dict[str, str] = {}
    for sample in dataset.samples():
        known |= {question.id for question in sample.questions}
        chosen |= {q.id: sample.conversation.id for q in sample.questions if q.category in wanted}
    _refuse_unknown(answers, known, dataset)
    if not chosen:
        raise UserError(f"{dataset.origin}: holds no question of the categories asked for ({', '.join(wanted)})")
    missing = tuple(question_id for question_id in chosen if question_id not in answers.by_id)
    roles = ModelClients(settings, spent_usd=spent_usd)
    judge = roles.judge(dataset.benchmark)
    conversations = len(set(chosen.values()))
    size = f"{plural(conversations, 'conversation')}, {plural(len(chosen), 'question')}"
    who = roles.who("judge") if settings.asks_models() else judge.agreement
    return Grading(
        settings, label, answers, dataset, frozenset(chosen), conversations, missing, judge, roles, tokens,
        why={
            "dataset": f"{dataset.benchmark.name}, {size}: {why_dataset}",
            "answers": "; ".join([_coverage(answers, len(chosen), missing), *answers.aside]),
            "judge": f"{judge.name}: {who}" if who else judge.name,
        },
    )  # fmt: skip


def _refuse_unknown(answers: Answers, known: set[str], dataset: Dataset) -> None:
    unknown = [question_id for question_id in answers.by_id if question_id not in known]
    if unknown:
        more = f", and {plural(len(unknown) - 1, 'other')} of the file neither" if len(unknown) > 1 else ""
        raise UserError(
            f"{answers.path}: line {answers.by_id[unknown[0]].line}: {dataset.benchmark.name} has no question "
            f"{unknown[0][:80]!r}{more}; name the dataset that was answered with --dataset, or its file with --data"
        )


def _coverage(answers: Answers, questions: int, missing: tuple[str, ...]) -> str:
    answered = questions - len(missing)
    parts = [f"{answered:,} of {plural(questions, 'question')} answered in {answers.path}"]
    if missing:
        named = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
        parts.append(f"no answer to {len(missing):,} ({named}): recorded as errors, not as wrong")
    if left := len(answers.by_id) - answered:
        parts.append(f"{plural(left, 'answer')} to questions of other categories left aside")
    return "; ".join(parts)


def describe(grading: Grading) -> Experiment:
    """The experiment of the run, as `plan.describe`; what is unknown of the answers is None."""
    categories = categories_asked(grading.dataset, grading.settings)
    headline = tuple(category for category in grading.dataset.benchmark.headline if category in categories)
    return Experiment(
        settings=grading.settings.to_json(),
        dataset=DatasetInfo(
            name=grading.dataset.benchmark.name,
            sha256=grading.dataset.sha256,
            origin=grading.dataset.origin,
            categories=categories,
            headline=headline or categories,
            questions=len(grading.chosen),
            conversations=grading.conversations,
            tables=tuple(sorted(grading.dataset.benchmark.tables)),
        ),
        backends={grading.label: BackendEntry(context_limit="unknown")},
        reader=ReaderInfo(
            name=RECORDED,
            model="unknown",
            sha256=grading.answers.sha256,
            origin=str(grading.answers.path.absolute()),
        ),
        judge=JudgeInfo(
            name=grading.judge.name,
            model=getattr(grading.judge, "model", grading.judge.name),
            votes=grading.settings.judge_votes,
            agreement=grading.judge.agreement,
        ),
        models={role: ModelInfo(**model) for role, model in grading.roles.described().items()},
        embedder=EmbedderInfo(name=None, dimensions=None),
        seed=grading.settings.seed,
        token_encoding=grading.tokens.encoding,
        budget=None,
        prompts={prompt.name: prompt.sha256 for prompt in getattr(grading.judge, "prompts", ())},
    )


async def grade(grading: Grading, folder: RunFolder, *, debug: bool = False) -> None:
    """Judges all answers that have no good record yet, and appends their records, one sample in memory at a time.

    A call that fails is recorded as an error and does not stop the others. Raises UserError where no further call can
    succeed, or records cannot be written.
    """
    records = [(record.question_id, record.status) for record in folder.records()]
    done = {question_id for question_id, status in records if status == "ok"}
    told = {question_id for question_id, _ in records}
    with (
        folder.appending() as writer,
        Progress(
            grading.conversations,
            len(grading.chosen),
            [grading.label],
            done={grading.label: len(done)},
            headline=grading.dataset.benchmark.headline,
        ) as progress,
    ):
        work = _Work(grading, folder, writer, progress, debug)
        async with Pool(grading.settings.max_in_flight if grading.settings.asks_models() else 1) as pool:
            for sample in grading.dataset.samples():
                turns = {turn.id: turn for session in sample.conversation.sessions for turn in session.turns}
                questions = [question for question in sample.questions if question.id in grading.chosen]
                for question in questions:
                    answer = grading.answers.by_id.get(question.id)
                    if answer is None and question.id not in told:
                        work.write(_unanswered(grading, question))
                    elif answer is not None and question.id not in done:
                        # Measured here, or every call that is under way would keep its conversation in memory.
                        known = {"answer": answer.text, **answer.told, **work.of_context(question, answer, turns)}
                        await pool.run(work.judge(question, answer.text, known))
                    await asyncio.sleep(0)  # lets a Ctrl-C in
                if questions:
                    progress.conversation()
    await probe_judge_of(grading.judge, grading.dataset, grading.chosen, grading.settings, folder)


def _unanswered(grading: Grading, question: Question) -> Record:
    return Record.of(grading.label, question, status="error", error=f"no answer in {grading.answers.path}")


@dataclass(frozen=True, slots=True)
class _Work:
    grading: Grading
    folder: RunFolder
    writer: RecordWriter
    progress: Progress
    debug: bool

    async def judge(self, question: Question, answer: str, known: Mapping[str, Any]) -> None:
        """Judges one answer and writes its record, with what is `known` of it."""
        grading = self.grading
        began = perf_counter()
        try:
            verdict = await grading.judge.judge(question, answer)
        except UserError as error:  # no further call can succeed: the run stops, and can be resumed
            raise UserError(f"{error} (at {question.id})") from error
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            if self.debug:
                traceback.print_exception(error)
            self.write(Record.failed(grading.label, question, "judge", error, **known))
            return
        judge_s = perf_counter() - began if verdict.latency_s is None else verdict.latency_s
        decision = JudgeDecision(
            name=grading.judge.name, votes=verdict.votes, reason=verdict.reason, cost_usd=verdict.cost_usd
        )
        self.write(
            Record.of(
                grading.label,
                question,
                correct=verdict.correct,
                judge=decision,
                f1=grading.dataset.benchmark.f1(question, answer),
                judge_s=judge_s,
                **known,
            )
        )

    def of_context(self, question: Question, answer: Recorded, turns: Mapping[str, Turn]) -> dict[str, Any]:
        """What can be measured where the file holds the context. It names no turns: evidence goes by its text."""
        if answer.context is None:
            return {}
        found = evidence_found(question, turns, Context(answer.context), paraphrased=False)
        return {
            "context_tokens": self.grading.tokens.count(answer.context),
            "evidence_recall": len(found) / len(question.evidence) if question.evidence else None,
            "evidence_all": len(found) == len(question.evidence) if question.evidence else None,
            "evidence_found": tuple(found),
            "evidence_stored": question.evidence,  # nothing is known of what the memory holds
            "answer_in_context": None if question.unanswerable else answer_in_context(question.gold, answer.context),
            "context": self.writer.contexts.put(answer.context),
        }

    def write(self, record: Record) -> None:
        self.folder.keep_cache_keys(self.grading.roles.take_used_keys())
        self.writer.append(record)
        self.progress.question(record)
