"""From records to the data of the page's question table: columns, each text once, compressed.

There are two parts, so that the page opens fast. `table` has what the list of questions, its filters and its search need;
`details` has what one question shows when it is opened.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from engram_eval.compare.comparison import Comparison
from engram_eval.compare.rows import BackendRow
from engram_eval.metrics.failure_stage import FailureStage, LabelErrors, failure_stage
from engram_eval.report.answers import (
    AnswerDetails,
    AnswerSummary,
    Outcome,
    PageQuestion,
    details_of,
    question_of,
    summary_of,
)
from engram_eval.report.context_lines import ContextLines
from engram_eval.report.text import TextPool
from engram_eval.results.folder import RunFolder
from engram_eval.results.record import Record


@dataclass(frozen=True, slots=True)
class BackendAnswers:
    """One backend's answers, by the number of the question.

    `latencies_s` and `context_tokens` are those of the answered questions of the headline categories.
    """

    row: BackendRow
    summaries: dict[int, AnswerSummary] = field(default_factory=dict)
    details: dict[int, AnswerDetails] = field(default_factory=dict)
    latencies_s: list[float] = field(default_factory=list)
    context_tokens: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PageData:
    """`table` and `details` are JSON, gzip, base64: nothing in them can close the HTML element that holds them."""

    backends: list[BackendAnswers]
    questions: int
    table: str
    details: str


def page_data(
    folders: Sequence[RunFolder], comparison: Comparison, *, label_errors: LabelErrors | None = None
) -> PageData:
    """Backends in the order of the comparison's rows, questions in that of the records."""
    collected = _Collected(comparison)
    for folder in folders:
        collected.read(folder, comparison, label_errors)
    return PageData(
        collected.backends, len(collected.questions), _packed(collected.table()), _packed(collected.details())
    )


class _Collected:
    """The answers of all runs, and the texts that they refer to."""

    def __init__(self, comparison: Comparison) -> None:
        self.backends = [BackendAnswers(row) for row in comparison.rows]
        self.questions: dict[PageQuestion, int] = {}
        self.categories = TextPool()
        self._table_texts, self._detail_texts = TextPool(), TextPool()
        self._contexts = ContextLines()
        for summary in comparison.summaries.values():
            for category in summary.dataset.categories:
                self.categories.add(category)

    def read(self, folder: RunFolder, comparison: Comparison, label_errors: LabelErrors | None) -> None:
        """Adds the answers of a run."""
        run = str(folder.path)
        headline = comparison.summaries[run].dataset.headline
        backends = {backend.row.label: backend for backend in self.backends if backend.row.run == run}
        with folder.contexts() as contexts:
            for record in folder.records():
                backend = backends.get(record.backend)
                if backend is None:  # the manifest does not list it, so the tables leave it out too
                    continue
                self._add(record, backend, contexts.get(record.context), failure_stage(record, label_errors))
                if record.category in headline and record.status == "ok":
                    _measure(record, backend)

    def _add(self, record: Record, backend: BackendAnswers, context: str | None, stage: FailureStage | None) -> None:
        question = question_of(record, self._table_texts, self.categories)
        number = self.questions.setdefault(question, len(self.questions))
        shown_context = self._contexts.add(context, number, is_evidence=backend.row.summary.sees_evidence)
        backend.summaries[number] = summary_of(record, stage, self._table_texts)
        backend.details[number] = details_of(record, shown_context, self._detail_texts)

    def table(self) -> dict[str, Any]:
        """The data of the list, as page.js reads it."""
        seen = {answer.failure_stage for backend in self.backends for answer in backend.summaries.values()}
        stages = [stage for stage in FailureStage if stage in seen]
        names = TextPool()
        count = range(len(self.questions))
        return {
            "backends": [names.texts[names.add(backend.row.name)] for backend in self.backends],
            "categories": self.categories.texts,
            "failure_stages": stages,
            "questions": _columns(PageQuestion._fields, self.questions),
            "answers": [_answer_columns(backend.summaries, stages, count) for backend in self.backends],
            "texts": self._table_texts.texts,
            "pair": _first_pair(self.backends),
        }

    def details(self) -> dict[str, Any]:
        """The data of open questions, as page.js reads it."""
        names = [column.name for column in fields(AnswerDetails)]
        count = range(len(self.questions))
        return {
            "answers": [_columns(names, map(backend.details.get, count)) for backend in self.backends],
            "texts": self._detail_texts.texts,
            "marked": [self._marked_lines(number) for number in count],
            "lines": self._contexts.lines,
            "contexts": self._contexts.contexts,
        }

    def _marked_lines(self, question: int) -> list[int]:
        shown = [backend.details[question].context for backend in self.backends if question in backend.details]
        return self._contexts.marked(question, shown)


def _measure(record: Record, backend: BackendAnswers) -> None:
    if record.latency_s is not None:
        backend.latencies_s.append(record.latency_s)
    if record.context_tokens is not None:
        backend.context_tokens.append(record.context_tokens)


def _first_pair(backends: Sequence[BackendAnswers]) -> list[int]:
    """The two backends that the page compares at first: one memory in two runs, else the first two memories."""
    labels = {n: backend.row.label for n, backend in enumerate(backends) if not backend.row.summary.control}
    same_memory = ([a, b] for a in labels for b in labels if a < b and labels[a] == labels[b])
    first_two = list(labels)[:2] if len(labels) > 1 else [0, min(1, len(backends) - 1)]
    return next(same_memory, first_two)


def _answer_columns(
    summaries: Mapping[int, AnswerSummary], stages: Sequence[FailureStage], count: range
) -> dict[str, Any]:
    answers = [summaries.get(number) for number in count]
    return {
        "outcome": "".join(answer.outcome if answer else Outcome.NOT_ASKED for answer in answers),
        "answer": [answer.answer if answer else None for answer in answers],
        "failure_stage": [
            stages.index(answer.failure_stage) if answer and answer.failure_stage else -1 for answer in answers
        ],
    }


def _columns(names: Iterable[str], values: Iterable[object]) -> dict[str, list[Any]]:
    """One attribute per column; None where there is no value."""
    rows = list(values)
    return {name: [getattr(row, name) if row is not None else None for row in rows] for name in names}


def _packed(value: Any) -> str:
    content = json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
    return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode("ascii")
