"""Several judges' verdicts on the same answers: agreement, answers on which they differ, and the order of the memories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

from engram_eval.compare.paired_tests import Outcome, Outcomes, Pair, compare_pairs
from engram_eval.judges.agreement import Agreement, agreement_of
from engram_eval.metrics.accuracy import ACCURACY
from engram_eval.metrics.kendall import kendall_tau
from engram_eval.metrics.summary import summarise
from engram_eval.results.folder import RunFolder
from engram_eval.results.manifest import Manifest
from engram_eval.results.record import Record
from engram_eval.results.summary import Summary


@dataclass(frozen=True, slots=True)
class JudgePair:
    """Two judges. In `agreement`, the first is the recorded judge. Of the pairs of memories whose difference is clear:

    - `same`: those in the same order under both; `reversed`: those in the other order, each as (better under the first, worse).
    - `one_only`: how many are clear under one of the judges alone.

    `tau`: Kendall's τ of the accuracies, None with fewer than two memories or if all accuracies are equal. `reordered`: how
    many pairs of memories have the other order by accuracy alone.
    """

    first: str
    second: str
    agreement: Agreement
    tau: float | None
    reordered: int
    same: int
    reversed: tuple[tuple[str, str], ...]
    one_only: int


@dataclass(frozen=True, slots=True)
class Flip:
    """An answer on which verdicts differ. `verdicts` and `reasons`: by judge; the verdict of a failed call is None."""

    record: Record
    verdicts: Mapping[str, bool | None]
    reasons: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """A line of flips.jsonl."""
        record = self.record
        return {
            "backend": record.backend,
            "question_id": record.question_id,
            "category": record.category,
            "question": record.question,
            "gold": record.gold,
            "answer": record.answer,
            "verdicts": dict(self.verdicts),
            "reasons": dict(self.reasons),
        }


@dataclass(frozen=True, slots=True)
class Ranking:
    """The memories under one judge, best first. `clear[i]`: whether the i-th is clearly better than the next."""

    names: tuple[str, ...]
    accuracies: tuple[float, ...]
    clear: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class JudgeComparison:
    """`manifests`, `summaries` and `rankings` are by the judge's label. `compared`: the backends whose answers are compared.

    These are the memories, without controls; all backends if there are no memories. `errors`: answers without a verdict.
    `unanswered`: questions for which the run has no answer.
    """

    manifests: Mapping[str, Manifest]
    summaries: Mapping[str, Summary]
    compared: tuple[str, ...]
    rankings: Mapping[str, Ranking]
    pairs: list[JudgePair]
    flips: list[Flip]
    errors: Mapping[str, int]
    unanswered: int


@dataclass(frozen=True, slots=True)
class _Judged:
    """One judge's verdicts."""

    manifest: Manifest
    summary: Summary
    records: Mapping[tuple[str, str], Record]
    """Of the compared backends, by backend and question, those that have an answer."""
    tests: Mapping[tuple[str, str], Pair]
    """Of each two memories."""
    unanswered: int

    def accuracy(self, memory: str) -> float:
        return self.summary.backends[memory].mean(ACCURACY.name) or 0.0

    def order(self, first: str, second: str) -> int:
        """1 if the first memory is clearly better, -1 if it is clearly worse, else 0."""
        test = self.tests.get((first, second))
        return {"better": 1, "worse": -1}.get(test.word, 0) if test else 0


def compare_judges(judged: Mapping[str, Path]) -> JudgeComparison:
    """Compares runs of the same answers under different judges, by the judge's label.

    Raises UserError for a folder that holds no run.
    """
    verdicts = {label: _read(RunFolder(path)) for label, path in judged.items()}
    compared = _compared(next(iter(verdicts.values())).manifest)
    labels = list(verdicts)
    return JudgeComparison(
        {label: verdicts[label].manifest for label in labels},
        {label: verdicts[label].summary for label in labels},
        compared,
        {label: _ranking(verdicts[label], compared) for label in labels},
        [_pair(one, other, verdicts, compared) for one, other in combinations(labels, 2)],
        _flips(verdicts),
        {label: sum(not record.scored for record in verdicts[label].records.values()) for label in labels},
        max(judged.unanswered for judged in verdicts.values()),
    )


def _compared(manifest: Manifest) -> tuple[str, ...]:
    memories = tuple(label for label, entry in manifest.backends.items() if entry.is_memory)
    return memories or tuple(manifest.backends)


def _read(folder: RunFolder) -> _Judged:
    manifest = folder.manifest()
    compared, headline = _compared(manifest), manifest.dataset.headline
    outcomes = Outcomes(headline)
    every = list(folder.records())
    summary = summarise(outcomes.collect(every), manifest)
    records = [record for record in every if record.backend in compared]
    answered = {record.key: record for record in records if record.answer is not None}
    tests = _tests(compared, outcomes.by_backend, manifest.seed)
    return _Judged(manifest, summary, answered, tests, len(records) - len(answered))


def _tests(
    memories: Sequence[str], outcomes: Mapping[str, Mapping[str, Outcome]], seed: int
) -> dict[tuple[str, str], Pair]:
    names = [(one, other) for one, other in combinations(memories, 2) if one in outcomes and other in outcomes]
    return {(pair.first, pair.second): pair for pair in compare_pairs(names, outcomes, seed=seed)}


def _ranking(judged: _Judged, memories: Sequence[str]) -> Ranking:
    scored = [memory for memory in memories if judged.summary.backends[memory].answered]
    names = sorted(scored, key=judged.accuracy, reverse=True)
    clear = tuple(bool(judged.order(better, worse) or judged.order(worse, better)) for better, worse in pairwise(names))
    return Ranking(tuple(names), tuple(map(judged.accuracy, names)), clear)


def _pair(first: str, second: str, verdicts: Mapping[str, _Judged], memories: Sequence[str]) -> JudgePair:
    one, other = verdicts[first], verdicts[second]
    common = [(record, other.records[key]) for key, record in one.records.items() if key in other.records]
    graded = [
        (a.correct, b.correct, a.conversation_id)
        for a, b in common
        if a.scored and b.scored and a.correct is not None and b.correct is not None
    ]
    orders = {pair: (one.order(*pair), other.order(*pair)) for pair in combinations(memories, 2)}
    clear = {pair: signs for pair, signs in orders.items() if all(signs)}
    accuracies = [(one.accuracy(memory), other.accuracy(memory)) for memory in memories]
    return JudgePair(
        first,
        second,
        agreement_of(graded, errors=len(common) - len(graded), seed=one.manifest.seed),
        kendall_tau([accuracy for accuracy, _ in accuracies], [accuracy for _, accuracy in accuracies]),
        reordered=sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(accuracies, 2)),
        same=sum(a == b for a, b in clear.values()),
        reversed=tuple(pair if a > 0 else (pair[1], pair[0]) for pair, (a, b) in clear.items() if a != b),
        one_only=sum(any(signs) and not all(signs) for signs in orders.values()),
    )


def _flips(verdicts: Mapping[str, _Judged]) -> list[Flip]:
    """The answers with two unlike verdicts, in the order of the first judge's records. A failed call is no verdict."""
    flips = []
    for key, record in next(iter(verdicts.values())).records.items():
        by_judge = {label: judged.records.get(key) for label, judged in verdicts.items()}
        given = {label: r.correct if r and r.scored else None for label, r in by_judge.items()}
        if {True, False} <= set(given.values()):
            reasons = {label: (r.judge.reason if r and r.judge else "") for label, r in by_judge.items()}
            flips.append(Flip(record, given, reasons))
    return flips
