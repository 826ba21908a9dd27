"""Pairs: two backends on the same questions, what they differ by, how sure that is, and the word for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from engram_eval.metrics.stats import bootstrap_mean, detectable_difference, holm, mcnemar, newcombe, t_interval
from engram_eval.results.record import Record

FEW = 5
"""Of fewer conversations than this a bootstrap says little: questions are drawn instead, and it is said."""

EQUAL = 0.03
"""The widest interval, either side of nothing, that is still called no difference: three points."""

_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of a record, what is paired. `correct` is None for a question that ended in an error, `evidence_recall` for one that
    cannot be answered or has no evidence."""

    conversation_id: str
    correct: bool | None
    context_tokens: float | None
    latency_s: float | None
    cost_usd: float | None
    evidence_recall: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean of differences over `n` questions and its 95 % interval, None where there is too little for one.

    `rough`: of so few conversations that questions were drawn, as if each stood for itself.
    """

    mean: float
    interval: tuple[float, float] | None
    n: int
    rough: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """`first` against `second`, over the questions that both answered; accuracies and their differences from -1 to 1.

    `bounds`: the difference over all questions that both were asked, if every answer that ended in an error had gone
    against the first and if it had gone for it; None without errors. `detectable`: what would have been found with a
    power of 80 % (`stats.detectable_difference`). `p_holm`: adjusted for all pairs that were made at once. `evidence_recall`
    (from -1 to 1), `tokens`, `latency_s`, `cost_usd`: a question's, None where it is not known. `word` is for the first.
    """

    first: str
    second: str
    accuracy: Difference
    bounds: tuple[float, float] | None
    only_first: int
    only_second: int
    p: float
    p_holm: float
    detectable: float | None
    evidence_recall: Difference | None
    tokens: Difference | None
    latency_s: Difference | None
    cost_usd: Difference | None
    word: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def outcomes(records: Iterable[Record], headline: Collection[str]) -> dict[str, dict[str, Outcome]]:
    """By backend and question id, of the headline categories."""
    found: dict[str, dict[str, Outcome]] = {}
    for record in records:
        if record.category in headline:
            latency = (record.retrieval_s or 0.0) + record.answer_s if record.answer_s is not None else None
            found.setdefault(record.backend, {})[record.question_id] = Outcome(
                record.conversation_id, record.correct if record.status == "ok" else None,
                record.context_tokens, latency, record.cost_usd,
                None if record.unanswerable else record.evidence_recall,
            )  # fmt: skip
    return found


def pair(
    wanted: Sequence[tuple[str, str]], of: Mapping[str, Mapping[str, Outcome]], *, seed: int, resamples: int = 4000
) -> list[Pair]:
    """The pairs that have a question in common which both answered."""
    found = [made for names in wanted if (made := _pair(*names, of, seed, resamples))]
    adjusted = holm([one.p for one in found])
    found = [replace(one, p_holm=p) for one, p in zip(found, adjusted, strict=True)]
    return [replace(one, word=_word(one)) for one in found]


def difference(
    values: Sequence[float],
    conversations: Sequence[Hashable],
    *,
    seed: int,
    resamples: int = 4000,
    least: tuple[float, float] | None = None,
) -> Difference:
    """The mean of paired differences, its interval by a bootstrap of whole conversations.

    Never narrower than `least`, by default Student's interval over the questions: conversations that happen to agree do
    not make a figure surer than its questions do.
    """
    few = len(set(conversations)) < FEW
    clusters: Sequence[Hashable] = range(len(values)) if few else conversations
    drawn = bootstrap_mean(values, clusters, seed=seed, resamples=resamples)
    ends = [interval for interval in (drawn, least or t_interval(values)) if interval]
    hull = (min(low for low, _ in ends), max(high for _, high in ends)) if ends else None
    return Difference(float(sum(values) / len(values)), hull, len(values), few)


def _pair(first: str, second: str, of: Mapping[str, Mapping[str, Outcome]], seed: int, resamples: int) -> Pair | None:
    asked = [(one, of[second][question]) for question, one in of[first].items() if question in of[second]]
    both = [(a, b) for a, b in asked if a.correct is not None and b.correct is not None]
    if not both:
        return None

    def mean(value: Callable[[Outcome], float | None], least: tuple[float, float] | None = None) -> Difference | None:
        known = [
            (x - y, a.conversation_id) for a, b in both if (x := value(a)) is not None and (y := value(b)) is not None
        ]
        return difference(*zip(*known, strict=True), seed=seed, resamples=resamples, least=least) if known else None

    cells = [0, 0, 0, 0]
    for a, b in both:
        cells[2 * (not a.correct) + (not b.correct)] += 1
    accuracy = mean(lambda outcome: outcome.correct, newcombe(*cells))
    assert accuracy is not None  # there is a question that both answered
    p = mcnemar(cells[1], cells[2])
    return Pair(
        first, second, accuracy, _bounds(asked) if len(asked) > len(both) else None, cells[1], cells[2], p, p,
        detectable_difference(len(both), (cells[1] + cells[2]) / len(both)),
        _of_shares(mean(lambda outcome: outcome.evidence_recall)),
        mean(lambda outcome: outcome.context_tokens),
        mean(lambda outcome: outcome.latency_s),
        mean(lambda outcome: outcome.cost_usd),
        word="",
    )  # fmt: skip


def _of_shares(found: Difference | None) -> Difference | None:
    """Shares from 0 to 1 differ by no more than 1, whatever an interval of few questions says."""
    if found is None or found.interval is None:
        return found
    low, high = found.interval
    return replace(found, interval=(max(-1.0, low), min(1.0, high)))


def _bounds(asked: Sequence[tuple[Outcome, Outcome]]) -> tuple[float, float]:
    def right(outcome: Outcome, errors: bool) -> bool:
        return errors if outcome.correct is None else outcome.correct

    against, for_it = (sum(right(a, good) - right(b, not good) for a, b in asked) for good in (False, True))
    return against / len(asked), for_it / len(asked)


def _word(one: Pair) -> str:
    """Better or worse: both the test, adjusted, and the interval say so, and the errors could not undo it."""
    ends = [*(one.accuracy.interval or (-1.0, 1.0)), *(one.bounds or ())]
    if one.p_holm < _ALPHA and min(ends) > 0:
        return "better"
    if one.p_holm < _ALPHA and max(ends) < 0:
        return "worse"
    widest = max(map(abs, ends))
    if widest <= EQUAL:
        return f"no difference larger than {math.ceil(1000 * widest - 1e-9) / 10:.1f}"
    return "cannot tell"


def notes(pairs: Sequence[Pair]) -> list[str]:
    """What the table of pairs means."""
    if not pairs:
        return []
    lines = [
        "Pairs: differences of the first to the second over the questions that both answered; won: right where "
        "the second is wrong. Better or worse: McNemar's "
        "exact test, adjusted over the pairs by Holm, is below 0.05 and the 95 % interval leaves out 0; no difference larger "
        f"than x: the interval lies within ±x points, x at most {100 * EQUAL:g}. Detectable: the difference that as many "
        "questions, as often discordant, find in 80 of 100 such runs if each stands for itself; where conversations differ, it "
        "takes more. --pairs all tests each memory against each."
    ]
    if any(one.evidence_recall for one in pairs):
        lines[0] += " Evidence recall: over the answerable questions that have evidence."
    if any(one.accuracy.rough for one in pairs):
        lines.append(
            f"The pairs' intervals are rough: of fewer than {FEW} conversations, questions are drawn as if each stood for "
            "itself, and how much conversations differ is not in them."
        )
    if any(one.bounds for one in pairs):
        lines.append(
            "Errors wrong / right: the figure if every answer that ended in an error were wrong, and if it were right (in a "
            "pair: against the first, and for it); a word holds for both."
        )
    return lines
