"""What a rule can be about: the gated metrics, and a run's scores in them, question by question."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engram_eval.compare.experiment import identity
from engram_eval.errors import UserError
from engram_eval.metrics.accuracy import ACCURACY
from engram_eval.metrics.answer_in_context import ANSWER_IN_CONTEXT
from engram_eval.metrics.context_tokens import CONTEXT_TOKENS
from engram_eval.metrics.cost import COST_USD
from engram_eval.metrics.evidence import EVIDENCE_ALL, EVIDENCE_RECALL
from engram_eval.metrics.latency import LATENCY_S
from engram_eval.metrics.measure import Measure
from engram_eval.metrics.ndcg import NDCG_10
from engram_eval.results.folder import RunFolder
from engram_eval.results.record import Record
from engram_eval.tables.text import plural


@dataclass(frozen=True, slots=True)
class Metric:
    """A measure as the gate compares it. `ratio`: by the geometric mean of the questions' ratios, minus one."""

    name: str
    measure: Measure
    show: Callable[[float], str]
    show_difference: Callable[[float], str]
    ratio: bool = False

    @property
    def is_share(self) -> bool:
        """Whether its values are from 0 to 1."""
        return self.measure not in (CONTEXT_TOKENS, LATENCY_S, COST_USD)


def _share(measure: Measure) -> Metric:
    return Metric(measure.name, measure, "{:.3f}".format, "{:+.3f}".format)


METRICS = {
    metric.name: metric
    for metric in (
        *map(_share, (ACCURACY, EVIDENCE_RECALL, EVIDENCE_ALL, ANSWER_IN_CONTEXT, NDCG_10)),
        Metric(CONTEXT_TOKENS.name, CONTEXT_TOKENS, "{:,.1f}".format, "{:+,.1f}".format),
        Metric("latency_ratio", LATENCY_S, lambda s: f"{1000 * s:,.1f} ms", lambda r: f"{100 * r:+.1f}%", ratio=True),
        Metric(COST_USD.name, COST_USD, "${:.6f}".format, "{:+.6f}".format),
    )
}
"""By the name that a rule gives."""

BINARY = (ACCURACY, EVIDENCE_ALL, ANSWER_IN_CONTEXT)
"""Measures that are 0 or 1 for each question."""

Line = tuple[float | None, ...]
"""One question of one backend: a value for each of `Scores.columns`."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a run or of a baseline.

    `where`: the run's folder or the baseline's file, for messages. `experiment`: its identity. `columns`: names of measures.
    `questions`: conversation and category by question id. `settings` and `lines`: by backend; a line is None for a question
    that ended in an error.
    """

    where: str
    version: str
    experiment: Mapping[str, Any]
    columns: tuple[str, ...]
    questions: Mapping[str, tuple[str, str]]
    settings: Mapping[str, Mapping[str, Any]]
    lines: Mapping[str, Mapping[str, Line | None]]

    def has(self, measure: Measure, backend: str, *, above_0: bool = False) -> bool:
        """Whether the measure is known for a question of the backend; `above_0`: and is above 0."""
        if measure.name not in self.columns:
            return False
        column = self.columns.index(measure.name)
        values = [line[column] for line in self.lines[backend].values() if line]
        return any(values) if above_0 else any(value is not None for value in values)


def scores(folder: RunFolder, *, controls: bool, latency: bool) -> Scores:
    """The scores of a finished run, rounded as a baseline is. Raises UserError for a run that is empty or unfinished."""
    manifest = folder.manifest()
    measures = [metric.measure for metric in METRICS.values() if latency or metric.measure is not LATENCY_S]
    questions: dict[str, tuple[str, str]] = {}
    lines: dict[str, dict[str, Line | None]] = {label: {} for label in manifest.backends}
    for record in folder.records():
        if record.backend in lines:
            questions[record.question_id] = record.conversation_id, record.category
            lines[record.backend][record.question_id] = _line(record, measures)
    _require_finished(folder, lines, questions, manifest.dataset.questions)
    settings = {
        label: backend.settings for label, backend in manifest.backends.items() if controls or backend.is_memory
    }
    if not settings:
        raise UserError(f"{folder.path}: holds only controls; run a memory beside them")
    ordered = sorted(questions, key=_natural_order)
    return Scores(
        where=str(folder.path),
        version=manifest.engram_eval,
        experiment=identity(manifest),
        columns=tuple(measure.name for measure in measures),
        questions={question: questions[question] for question in ordered},
        settings=settings,
        lines={label: {question: lines[label][question] for question in ordered} for label in settings},
    )


def _require_finished(
    folder: RunFolder,
    lines: Mapping[str, Mapping[str, Line | None]],
    questions: Mapping[str, tuple[str, str]],
    expected: int,
) -> None:
    if not questions:
        raise UserError(f"{folder.path}: holds no answers; run it again, because an empty run proves nothing")
    for label, answered in lines.items():
        if len(answered) != expected or len(questions) != expected:
            raise UserError(
                f"{folder.path}: is unfinished, {label} has {len(answered):,} of {plural(expected, 'question')}; "
                "finish it with --resume"
            )
    for label, answered in lines.items():
        if not any(answered.values()):
            raise UserError(
                f"{folder.path}: every question of {label} ended in an error; fix the cause and finish it with --resume"
            )


def _line(record: Record, measures: Sequence[Measure]) -> Line | None:
    if not record.scored:
        return None
    values = ((measure, measure.value(record)) for measure in measures)
    return tuple(None if value is None else _rounded(measure, value) for measure, value in values)


def _rounded(measure: Measure, value: float) -> float:
    """A whole number as an integer, so that a baseline reads `1` and not `1.0`."""
    rounded = round(float(value), measure.decimals)
    return int(rounded) if rounded.is_integer() else rounded


def _natural_order(question_id: str) -> tuple[list[str], str]:
    """Sorts q2 before q10."""
    return [part.zfill(20) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", question_id))], question_id
