"""From a run's records to its summary. Nothing else is read, so a summary can be rebuilt at any time.

A backend's figures are over the headline categories; each category's own are in `by_category`. An errored question is
counted in `errors`, over all categories, and in nothing else.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from engram_eval.language.scripts import is_unspaced
from engram_eval.metrics.copied_golds import repeats_gold
from engram_eval.metrics.cost import sum_or_none
from engram_eval.metrics.failure_stage import FailureStage, LabelErrors, failure_stage
from engram_eval.metrics.intervals import bootstrap_proportion
from engram_eval.metrics.measures import summarised_measures
from engram_eval.results.manifest import BackendEntry, Manifest
from engram_eval.results.record import Record
from engram_eval.results.stored import FORMAT, Interval
from engram_eval.results.summary import (
    BackendSummary,
    BreakEven,
    Scores,
    Spread,
    Summary,
    Total,
    UnanswerableScores,
    VoteSummary,
)

_NEVER = 10**9  # questions: a break-even beyond it is none


def summarise(records: Iterable[Record], manifest: Manifest, *, label_errors: LabelErrors | None = None) -> Summary:
    """The summary of a run, backends in the order of the manifest.

    `label_errors` (known errors of the answer key) count among the failure stages, and each backend then has
    `without_label_errors` too.
    """
    rows = _rows(records, label_errors)
    backends = {
        label: _backend(rows.select(rows["backend"] == label), entry, manifest, label_errors)
        for label, entry in manifest.backends.items()
    }
    return Summary(
        format=FORMAT,
        backends=_with_break_even(backends),
        dataset=manifest.dataset,
        reader=manifest.reader,
        judge=manifest.judge,
        complete=len(rows) == manifest.dataset.questions * len(manifest.backends),
    )


class _Rows:
    """A row per record, a column per fact and measure. Arrays: slicing a data frame took most of the time of a small run."""

    def __init__(self, columns: dict[str, npt.NDArray[Any]]) -> None:
        self._columns = columns

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._columns[name]

    def __len__(self) -> int:
        return len(self._columns["backend"])

    def select(self, rows: npt.NDArray[Any]) -> _Rows:
        """Those at which a mask is true, or those of these numbers."""
        return _Rows({name: column[rows] for name, column in self._columns.items()})


_TYPES: dict[str, type] = {
    "backend": object, "conversation_id": object, "category": object, "unanswerable": bool, "ok": bool, "ingest_s": float,
    "ingest_cost_usd": float, "ingest_warnings": float, "answer_cost_usd": float, "judge_cost_usd": float,
    "truncated": bool, "cut": bool, "names_turns": bool, "repeats_gold": bool, "unspaced": bool, "reasoned": bool,
    "server_cache": bool, "contended": bool, "votes": object,
    "failure_stage": object, "label_error": bool,
}  # fmt: skip


def _rows(records: Iterable[Record], label_errors: LabelErrors | None) -> _Rows:
    """The records without their texts and lists: a large run has to fit into memory. What is unknown is NaN."""
    measures = summarised_measures()
    types = {**_TYPES, **{measure.name: float for measure in measures}}
    columns: dict[str, list[Any]] = {name: [] for name in types}
    for record in records:
        values = (*_facts(record, label_errors), *(measure.value(record) for measure in measures))
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    return _Rows({name: _array(column, types[name]) for name, column in columns.items()})


def _array(values: list[Any], kind: type) -> npt.NDArray[Any]:
    return np.fromiter(values, object, len(values)) if kind is object else np.array(values, kind)


def _facts(record: Record, label_errors: LabelErrors | None) -> tuple[Any, ...]:
    return (
        sys.intern(record.backend),
        sys.intern(record.conversation_id),
        sys.intern(record.category),
        record.unanswerable,
        record.status == "ok",
        record.ingest_s,
        record.ingest_cost_usd,
        record.ingest_warnings,
        record.cost_usd,
        record.judge_cost_usd,
        record.truncated,
        record.cut,
        bool(record.retrieved),
        repeats_gold(record.answer, record.gold),
        is_unspaced(record.question),
        record.reasoning_removed,
        2 * record.server_cached_tokens >= max(record.prompt_tokens or 0, 1),
        record.contended,
        record.votes if len(record.votes) > 1 else None,
        failure_stage(record, label_errors),
        bool(label_errors and label_errors.reason(record.question_id)),
    )


def _backend(rows: _Rows, entry: BackendEntry, manifest: Manifest, label_errors: LabelErrors | None) -> BackendSummary:
    dataset, seed = manifest.dataset, manifest.seed
    by_category = {name: rows.select(rows["category"] == name) for name in dataset.categories}
    headline = rows.select(np.array([category in dataset.headline for category in rows["category"]], bool))
    answered = headline.select(headline["ok"])
    stages = Counter(headline["failure_stage"])
    values = {
        **_scores(headline, seed),
        "errors": int((~rows["ok"]).sum()),
        "context_limit": entry.context_limit,
        "control": entry.control,
        "sees_evidence": entry.sees_evidence,
        "paraphrases": entry.paraphrases,
        "expected": dataset.questions,
        "by_category": {name: Scores(**_scores(part, seed)) for name, part in by_category.items() if len(part)},
        "names_turns": bool(answered["names_turns"].any()),
        "truncated": int(answered["truncated"].sum()),
        "cut": int(rows["cut"].sum()),
        "unspaced_questions": int(rows["unspaced"].sum()),
        "reasoning_removed": int(rows["reasoned"].sum()),
        "contended": int(rows["contended"].sum()),
        "answers_from_server_cache": int(rows["server_cache"].sum()),
        "answers_that_repeat_gold": int(rows["repeats_gold"][rows["ok"] & ~rows["unanswerable"]].sum()),
        "answerable_answers": int((rows["ok"] & ~rows["unanswerable"]).sum()),
        "ingest_s": Total(total=_once_a_conversation(rows, "ingest_s")),
        "ingest_warnings": int(_once_a_conversation(rows, "ingest_warnings") or 0),
        **_money(rows, headline),
        "votes": _votes(answered),
        "failure_stages": {str(stage): stages[stage] for stage in FailureStage},
    }
    if dataset.category_mean:
        accuracies = [_mean(by_category[name]["accuracy"][by_category[name]["ok"]]) for name in dataset.headline]
        known = [accuracy for accuracy in accuracies if accuracy is not None]
        values["category_mean"] = float(np.mean(known)) if known else None
    if label_errors:
        values["without_label_errors"] = Scores(**_scores(headline.select(~headline["label_error"]), seed))
    return BackendSummary(**values)


def _scores(rows: _Rows, seed: int) -> dict[str, Any]:
    """The fields of `Scores`."""
    answered = rows.select(rows["ok"])
    unanswerable = answered.select(answered["unanswerable"])
    values: dict[str, Any] = {
        "n": len(rows),
        "answered": len(answered),
        "errors": len(rows) - len(answered),
        "unanswerable": UnanswerableScores(n=len(unanswerable), accuracy=_mean(unanswerable["accuracy"])),
    }
    for measure in summarised_measures():
        column = answered[measure.name]
        known = ~np.isnan(column)
        if measure.summary == "spread":
            values[measure.name] = _spread(column[known])
            continue
        values[measure.name] = _mean(column[known])
        if measure.summary == "share":
            values[f"{measure.name}_ci"] = _interval(column[known], answered["conversation_id"][known], seed)
    return values


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _interval(shares: npt.NDArray[np.float64], conversations: npt.NDArray[Any], seed: int) -> Interval | None:
    """The 95 % interval of the mean of shares; None if none is known."""
    if not len(shares):
        return None
    return bootstrap_proportion(list(shares), list(conversations), seed=seed)


def _spread(values: npt.NDArray[np.float64]) -> Spread:
    if not len(values):
        return Spread()
    p50, p95 = np.percentile(values, [50, 95])
    return Spread(mean=float(values.mean()), p50=float(p50), p95=float(p95))


def _once_a_conversation(rows: _Rows, name: str) -> float | None:
    """The sum of what all records of a conversation repeat; None if no record has it."""
    largest: dict[str, float] = {}
    for conversation, value in zip(rows["conversation_id"], rows[name], strict=True):
        if not math.isnan(value):
            largest[conversation] = max(value, largest.get(conversation, value))
    return float(np.sum([largest[conversation] for conversation in sorted(largest)])) if largest else None


def _money(rows: _Rows, headline: _Rows) -> dict[str, float | None]:
    """The fields of `BackendSummary` that are in US dollars."""
    first = {conversation: number for number, conversation in reversed(list(enumerate(rows["conversation_id"])))}
    per_conversation = rows.select(np.array(sorted(first.values()), np.intp))
    answered, scored = rows.select(rows["ok"]), headline.select(headline["ok"])
    ingest, answers = _sum(per_conversation["ingest_cost_usd"]), _sum(answered["answer_cost_usd"])
    for_headline = sum_or_none([ingest, _sum(scored["answer_cost_usd"])])
    right = int(np.nansum(scored["accuracy"]))
    return {
        "cost_usd": sum_or_none([ingest, answers]),
        "ingest_cost_usd": ingest,
        "answer_cost_usd": answers,
        "judge_cost_usd": _sum(answered["judge_cost_usd"]),
        "cost_per_correct_usd": for_headline / right if right and for_headline is not None else None,
        "cost_per_question_usd": answers / len(answered) if len(answered) and answers is not None else None,
        "cost_per_conversation_usd": (
            ingest / len(per_conversation) if len(per_conversation) and ingest is not None else None
        ),
    }


def _sum(amounts: npt.NDArray[np.float64]) -> float | None:
    return None if np.isnan(amounts).any() else float(amounts.sum())


def _with_break_even(backends: dict[str, BackendSummary]) -> dict[str, BackendSummary]:
    """The summaries, each with the question from which it is cheaper than the full history.

    The full history costs nothing to ingest and its whole length at each question. So n questions cost less once
    n x (its cost of a question - the memory's) exceeds what ingesting the conversation cost.
    """
    full_history = next((backend for backend in backends.values() if backend.context_limit == "window"), None)
    if full_history is None or not full_history.cost_per_question_usd:
        return backends
    out = {}
    for label, backend in backends.items():
        each, once = backend.cost_per_question_usd, backend.cost_per_conversation_usd
        if backend is not full_history and each is not None and once is not None:
            saved = full_history.cost_per_question_usd - each
            after = once / saved if saved > 0 else math.inf
            break_even = BreakEven(question=math.floor(after) + 1 if after < _NEVER else None)
            backend = backend.model_copy(update={"cheaper_than_full_history": break_even})
        out[label] = backend
    return out


def _votes(answered: _Rows) -> VoteSummary | None:
    votes = [answer_votes for answer_votes in answered["votes"] if answer_votes is not None]
    if not votes or len({len(answer_votes) for answer_votes in votes}) > 1:
        return None
    accuracy = np.mean(np.array(votes, float), axis=0)
    return VoteSummary(
        accuracy=tuple(float(share) for share in accuracy),
        mean=float(accuracy.mean()),
        sd=float(accuracy.std(ddof=1)),
        split=float(np.mean([len(set(answer_votes)) > 1 for answer_votes in votes])),
    )
