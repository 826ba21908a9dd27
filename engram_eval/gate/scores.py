"""What a rule may be about: the metrics, and a run's scores in them, question by question."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engram_eval.compare.mismatches import identity
from engram_eval.errors import UserError
from engram_eval.metrics.retrieval import ndcg
from engram_eval.results.folder import RunFolder
from engram_eval.results.record import Record
from engram_eval.tables.text import plural


@dataclass(frozen=True, slots=True)
class Metric:
    """`column`: where it stands in a baseline. `ratio`: the geometric mean of a question's ratios is held, less one."""

    name: str
    column: str
    better: Literal["high", "low"]
    show: Callable[[float], str]
    show_difference: Callable[[float], str]
    ratio: bool = False


def _shares(*names: tuple[str, str]) -> Iterator[Metric]:
    for name, column in names:
        yield Metric(name, column, "high", "{:.3f}".format, "{:+.3f}".format)


METRICS = {
    metric.name: metric
    for metric in (
        *_shares(
            ("accuracy", "correct"),
            ("evidence_recall", "evidence_recall"),
            ("evidence_all", "evidence_all"),
            ("answer_in_context", "answer_in_context"),
            ("ndcg@10", "ndcg@10"),
        ),
        Metric("context_tokens", "context_tokens", "low", "{:,.1f}".format, "{:+,.1f}".format),
        Metric(
            "latency_ratio", "latency_s", "low", lambda s: f"{1000 * s:,.1f} ms", lambda r: f"{100 * r:+.1f}%", ratio=True
        ),
        Metric("cost_usd", "cost_usd", "low", "${:.6f}".format, "{:+.6f}".format),
    )
}  # fmt: skip

BINARY = ("correct", "evidence_all", "answer_in_context")
DIGITS = {"context_tokens": 0, "latency_s": 4, "cost_usd": 8}  # of the others, shares, 4
SHORTEST_S = 10 ** -DIGITS["latency_s"]
# Parts of an experiment's identity, by the names that `compare` gives them.
HEADLINE, CATEGORIES = "choice of headline categories", "choice of categories"


Line = tuple[float | None, ...]
"""One question of one backend, in the order of `Scores.columns`."""


@dataclass(frozen=True, slots=True)
class Scores:
    """A run, or a baseline: all that a rule may be about. A question that ended in an error has no line but None."""

    where: str
    version: str
    experiment: Mapping[str, Any]
    columns: tuple[str, ...]
    questions: Mapping[str, tuple[str, str]]
    """Conversation and category by question id."""
    settings: Mapping[str, Mapping[str, Any]]
    lines: Mapping[str, Mapping[str, Line | None]]
    """By backend and question id."""

    def has(self, column: str, backend: str, *, but_0: bool = False) -> bool:
        """Whether the column is known of a question; `but_0`: and is not 0."""
        if column not in self.columns:
            return False
        at = self.columns.index(column)
        values = [line[at] for line in self.lines[backend].values() if line]
        return any(values) if but_0 else any(value is not None for value in values)


def scores(folder: RunFolder, *, controls: bool, latency: bool) -> Scores:
    """Of a whole run, rounded as a baseline is. Raises UserError for one that is empty or not finished."""
    manifest = folder.manifest()
    columns = tuple(metric.column for metric in METRICS.values() if latency or metric.column != "latency_s")
    expected = manifest["dataset"]["questions"]
    questions: dict[str, tuple[str, str]] = {}
    lines: dict[str, dict[str, Line | None]] = {label: {} for label in manifest["backends"]}
    for record in folder.records():
        if record.backend in lines:
            questions[record.question_id] = record.conversation_id, record.category
            lines[record.backend][record.question_id] = _line(record, manifest, columns)
    if not questions:
        raise UserError(f"{folder.path}: holds no answers; run it again, an empty run holds nothing")
    for label, answered in lines.items():
        if len(answered) != expected or len(questions) != expected:
            raise UserError(
                f"{folder.path}: is not finished, {label} has {len(answered):,} of {plural(expected, 'question')}; "
                "finish it with --resume"
            )
    for label, answered in lines.items():
        if not any(answered.values()):
            raise UserError(
                f"{folder.path}: every question of {label} ended in an error; mend it and finish with --resume"
            )
    kept = {
        label: facts["settings"]
        for label, facts in manifest["backends"].items()
        if controls or not (facts["control"] or facts["sees_evidence"])
    }
    if not kept:
        raise UserError(f"{folder.path}: holds controls alone; run a memory beside them")
    ordered = sorted(questions, key=_in_order)
    return Scores(
        str(folder.path), manifest.get("engram_eval", "unknown"), identity(manifest), columns,
        {question: questions[question] for question in ordered}, kept,
        {label: {question: lines[label][question] for question in ordered} for label in kept},
    )  # fmt: skip


def _line(record: Record, manifest: Mapping[str, Any], columns: Sequence[str]) -> Line | None:
    if record.status != "ok" or record.correct is None:
        return None
    # Where the right answer is to abstain, the evidence labels name what baits (see `metrics`).
    answerable = not record.unanswerable
    ranked = answerable and manifest["backends"][record.backend]["context_limit"] == "budget" and record.retrieved
    values: dict[str, float | None] = {
        "correct": record.correct,
        "evidence_recall": record.evidence_recall if answerable else None,
        "evidence_all": record.evidence_all if answerable else None,
        "answer_in_context": record.answer_in_context if answerable else None,
        "ndcg@10": ndcg(record.retrieved, record.evidence) if ranked else None,
        "context_tokens": record.context_tokens,
        "cost_usd": record.cost_usd,
        "latency_s": None if record.answer_s is None else (record.retrieval_s or 0.0) + record.answer_s,
    }
    return tuple(None if (value := values[name]) is None else _rounded(name, value) for name in columns)


def _rounded(column: str, value: float) -> float:
    """A whole number as one, so that a baseline reads `1` and not `1.0`."""
    rounded = round(float(value), DIGITS.get(column, 4))
    return int(rounded) if rounded.is_integer() else rounded


def _in_order(question_id: str) -> tuple[list[str], str]:
    """q2 before q10."""
    return [part.zfill(20) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", question_id))], question_id
