"""What rules check: the gated metrics, and a run's scores in them, question by question."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engram_eval.compare.experiment import identity
from engram_eval.errors import UserError
from engram_eval.metrics.measure import Measure, Unit
from engram_eval.metrics.measures import gated_measures
from engram_eval.results.folder import RunFolder
from engram_eval.results.manifest import Manifest
from engram_eval.results.record import Record
from engram_eval.tables.numbers import Show
from engram_eval.tables.text import plural

Line = tuple[int | float | None, ...]
"""One question of one backend: a value for each of `Scores.columns`."""

_SHOWN_SHARE: tuple[Show, Show] = ("{:.3f}".format, "{:+.3f}".format)
_SHOWN: dict[Unit, tuple[Show, Show]] = {
    "0 or 1": _SHOWN_SHARE,
    "share": _SHOWN_SHARE,
    "count": ("{:,.1f}".format, "{:+,.1f}".format),
    "seconds": (lambda seconds: f"{1000 * seconds:,.1f} ms", lambda seconds: f"{1000 * seconds:+,.1f} ms"),
    "dollars": ("${:.6f}".format, "{:+.6f}".format),
}
"""How a value and a difference of values are shown: in the unit that a rule's margin is in."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A measure as rules name it and as the gate compares it: by the mean difference of the questions, or by their ratio.

    A ratio is the geometric mean of the questions' ratios, minus one.
    """

    measure: Measure

    @property
    def name(self) -> str:
        return f"{self.measure.name.removesuffix('_s')}_ratio" if self.is_ratio else self.measure.name

    @property
    def is_ratio(self) -> bool:
        return self.measure.gate == "ratio"

    def show(self, value: float) -> str:
        return _SHOWN[self.measure.unit][0](value)

    def show_difference(self, difference: float) -> str:
        return f"{100 * difference:+.1f}%" if self.is_ratio else _SHOWN[self.measure.unit][1](difference)


def metrics() -> dict[str, Metric]:
    """The metrics that rules can check, by the name that a rule gives."""
    return {metric.name: metric for metric in map(Metric, gated_measures())}


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
    """The scores of a finished run, rounded as a baseline is. Raises UserError for a run that is empty or unfinished.

    `latency`: with the measures that are times, which differ from run to run.
    """
    manifest = folder.manifest()
    _require_usable_judge(folder, manifest)
    measures = [measure for measure in gated_measures() if latency or measure.unit != "seconds"]
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


def _require_usable_judge(folder: RunFolder, manifest: Manifest) -> None:
    if manifest.probe and manifest.probe.accepts_too_much:
        wrong = manifest.probe.false_accept
        raise UserError(
            f"{folder.path}: its judge accepted {wrong.count} of {wrong.n} wrong answers in the probe, so its scores mean "
            "nothing; run it again with a better --judge-model"
        )


def _require_finished(
    folder: RunFolder,
    lines: Mapping[str, Mapping[str, Line | None]],
    questions: Mapping[str, tuple[str, str]],
    expected: int,
) -> None:
    if not questions:
        raise UserError(f"{folder.path}: holds no answers, and an empty run proves nothing; run it again")
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


def decimals(measure: Measure) -> int:
    """How a baseline rounds the measure."""
    return 8 if measure.unit == "dollars" else 4


def _rounded(measure: Measure, value: float) -> int | float:
    """A whole number as an integer, so that a baseline reads `1` and not `1.0`."""
    rounded = round(float(value), decimals(measure))
    return int(rounded) if rounded.is_integer() else rounded


def _natural_order(question_id: str) -> tuple[list[str], str]:
    """Sorts q2 before q10."""
    return [part.zfill(20) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", question_id))], question_id
