"""Grading answers that were made elsewhere: a file of answers in, a run like any other out.

A line of the file is a JSON object: LongMemEval's official {"question_id", "hypothesis"}, or {"question_id", "answer"} with
the ids of this project's questions ("conv-26:q0"). Where both stand in a line, `hypothesis` is what was said: `answer`
is the gold then, copied from the dataset. A line may also tell what it took: `context`, the text that the answer was
made from, `prompt_tokens`, `completion_tokens`, `cost_usd`, `recall_s` and `answer_s`.

A question without an answer is an error, told and counted, and never a wrong answer; an empty answer is an answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from engram_eval.backends import Traits
from engram_eval.datasets import Dataset
from engram_eval.datasets.json_input import Node, parse_line
from engram_eval.errors import UserError
from engram_eval.evidence import answer_in_context, evidence_found
from engram_eval.f1 import question_f1
from engram_eval.judges import Judge
from engram_eval.plan import categories_asked, open_dataset
from engram_eval.pool import Pool
from engram_eval.progress import Progress
from engram_eval.results import Record, RecordWriter, RunFolder, record_of
from engram_eval.roles import Roles, settled
from engram_eval.runner import probe_judge_of
from engram_eval.settings import Settings
from engram_eval.text import plural
from engram_eval.tokens import TokenCounter, token_counter
from engram_eval.types import Context, Question, Turn

READER = "recorded"
"""The reader's name in the manifest of such a run."""

_FORM = "what 'engram-eval judge --help' says of a line"
_COUNTS = ("prompt_tokens", "completion_tokens")
_AMOUNTS = ("cost_usd", "recall_s", "answer_s")
_MOST = 2**53  # beyond it a float does not tell one count from the next; no real figure comes near


# --- the file ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recorded:
    """An answer as it stands in the file. `told` holds those of the optional figures that the line has, by name."""

    line: int
    text: str
    context: str | None
    told: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of a file by question id, in the order of its lines."""

    path: Path
    sha256: str
    by_id: Mapping[str, Recorded]
    aside: list[str]
    """What of the optional fields could not be taken, a sentence each."""


def read_answers(path: Path) -> Answers:
    """Raises UserError with file and line for whatever is no answer, and for a question that is answered twice."""
    digest = hashlib.sha256()
    by_id: dict[str, Recorded] = {}
    wrong: dict[str, list[int]] = {}
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                digest.update(line)
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if not line.strip():
                    continue
                question_id, answer = _answer(parse_line(line.rstrip(), path, number, _FORM), number, wrong)
                if question_id in by_id:
                    raise UserError(
                        f"{path}: line {number}: {question_id!r} is answered a second time, first in line "
                        f"{by_id[question_id].line}; leave one of the two lines out"
                    )
                by_id[question_id] = answer
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; name a file of answers") from None
    except IsADirectoryError:
        raise UserError(f"{path}: this is a folder; name the file of answers in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read ({reason}); check the name and its permissions") from None
    if not by_id:
        raise UserError(f"{path}: line 1: holds no answer; give it one JSON object a line")
    aside = [
        f"{name} of {plural(len(lines), 'line')} (the first: line {lines[0]}) is not {_wanted(name)} and is left aside"
        for name, lines in wrong.items()
    ]
    return Answers(path, digest.hexdigest(), by_id, aside)


def _answer(line: Node, number: int, wrong: dict[str, list[int]]) -> tuple[str, Recorded]:
    """Question id and answer; in `wrong` the numbers of the lines whose optional fields are of a wrong type."""
    question_id = line.get("question_id").scalar()
    key = "hypothesis" if line.has("hypothesis") else "answer"
    if not line.has(key):
        raise line.fault("has no 'hypothesis' and no 'answer'; leave out the line of a question without an answer")
    context, told = None, {}
    for name in ("context", *_COUNTS, *_AMOUNTS):
        if not line.has(name):
            continue
        value = line.get(name).value
        if name == "context" and isinstance(value, str):
            context = line.get(name).text()
        elif name != "context" and _is_figure(name, value):
            told[name] = value
        else:
            wrong.setdefault(name, []).append(number)
    return question_id, Recorded(number, line.get(key).scalar(), context, told)


def _is_figure(name: str, value: Any) -> bool:
    kinds = (int,) if name in _COUNTS else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and 0 <= value < _MOST and math.isfinite(value)


def _wanted(name: str) -> str:
    if name == "context":
        return "text"
    return "a whole number from 0" if name in _COUNTS else "a number from 0"


# --- what is graded ---------------------------------------------------------------------------------------------


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
    roles: Roles
    tokens: TokenCounter
    why: dict[str, str]
    """For the lines that stand before the run."""


def make_grading(settings: Settings, answers: Answers, label: str, *, spent_usd: float = 0.0) -> Grading:
    """Opens all and holds the answers against the questions. Raises UserError before anything is judged."""
    settings = settled(settings)
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
    roles = Roles(settings, spent_usd=spent_usd)
    judge = roles.judge("longmemeval" if "longmemeval" in dataset.name else "locomo")
    conversations = len(set(chosen.values()))
    size = f"{plural(conversations, 'conversation')}, {plural(len(chosen), 'question')}"
    who = roles.who("judge") if settings.asks_models() else judge.agreement
    return Grading(
        settings, label, answers, dataset, frozenset(chosen), conversations, missing, judge, roles, tokens,
        why={
            "dataset": f"{dataset.name}, {size}: {why_dataset}",
            "answers": "; ".join([_coverage(answers, len(chosen), missing), *answers.aside]),
            "judge": f"{judge.name}: {who}" if who else judge.name,
        },
    )  # fmt: skip


def _refuse_unknown(answers: Answers, known: set[str], dataset: Dataset) -> None:
    unknown = [question_id for question_id in answers.by_id if question_id not in known]
    if unknown:
        more = f", and {plural(len(unknown) - 1, 'other')} of the file neither" if len(unknown) > 1 else ""
        raise UserError(
            f"{answers.path}: line {answers.by_id[unknown[0]].line}: {dataset.name} has no question "
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


def describe(grading: Grading) -> dict[str, Any]:
    """The manifest's part that says what is graded, as `plan.describe`; what is not known of the answers is None."""
    asked = categories_asked(grading.dataset, grading.settings)
    return {
        "settings": grading.settings.to_json(),
        "dataset": {
            "name": grading.dataset.name,
            "sha256": grading.dataset.sha256,
            "origin": grading.dataset.origin,
            "categories": list(asked),
            "headline": [category for category in grading.dataset.headline if category in asked] or list(asked),
            "questions": len(grading.chosen),
            "conversations": grading.conversations,
        },
        "backends": {grading.label: {**asdict(Traits()), "limit": "unknown", "settings": {}}},
        "reader": {
            "name": READER,
            "model": "unknown",
            "window": 0,
            "sha256": grading.answers.sha256,
            "origin": str(grading.answers.path.absolute()),
        },
        "judge": {
            "name": grading.judge.name,
            "model": getattr(grading.judge, "model", grading.judge.name),
            "votes": grading.settings.judge_votes,
            "agreement": grading.judge.agreement,
        },
        "models": grading.roles.described(),
        "embedder": {"name": None, "dimensions": None},
        "seed": grading.settings.seed,
        "token_encoding": grading.tokens.encoding,
        "budget": None,
        "prompts": {p.name: p.sha256 for p in getattr(grading.judge, "prompts", ())},
    }


def is_grading(manifest: Mapping[str, Any]) -> bool:
    """Whether a run's manifest is that of graded answers, which `judge --resume` finishes and `run --resume` cannot."""
    reader = manifest["reader"]
    return isinstance(reader, dict) and reader.get("name") == READER


# --- the grading ------------------------------------------------------------------------------------------------


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
            headline=grading.dataset.headline,
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
    return replace(record_of(grading.label, question), status="error", error=f"no answer in {grading.answers.path}")


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
            self.write(record_of(grading.label, question, error=error, step="judge", **known))
            return
        judge_s = perf_counter() - began if verdict.latency_s is None else verdict.latency_s
        said = {"votes": list(verdict.votes), "reason": verdict.reason, "cost_usd": verdict.cost_usd}
        self.write(
            record_of(
                grading.label,
                question,
                correct=verdict.correct,
                judge={"name": grading.judge.name, **said},
                f1=question_f1(question, answer),
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
            "evidence_found": found,
            "evidence_stored": list(question.evidence),  # nothing is known of what the memory holds
            "answer_in_context": None if question.unanswerable else answer_in_context(question.gold, answer.context),
            "context": self.writer.contexts.put(answer.context),
        }

    def write(self, record: Record) -> None:
        self.folder.keep_cache_keys(self.grading.roles.take_used_keys())
        self.writer.append(record)
        self.progress.question(record)
