"""Compares two backends on the same questions: how much they differ, how certain that is, and the result in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from engram_eval.compare.notes import NoteKind
from engram_eval.metrics.context_tokens import CONTEXT_TOKENS
from engram_eval.metrics.cost import COST_USD
from engram_eval.metrics.evidence import EVIDENCE_RECALL
from engram_eval.metrics.intervals import bootstrap_mean, t_interval
from engram_eval.metrics.latency import LATENCY_S
from engram_eval.metrics.measure import Measure
from engram_eval.metrics.paired_statistics import detectable_difference, holm, mcnemar, newcombe
from engram_eval.results.record import Record
from engram_eval.tables.note import Note

FEW_CONVERSATIONS = 5
"""With fewer conversations, a bootstrap over conversations is unreliable, so questions are resampled and a note is added."""

EQUIVALENCE_MARGIN = 0.03
"""An interval within this distance of zero (three points) counts as no difference."""

PAIRED: tuple[Measure, ...] = (EVIDENCE_RECALL, CONTEXT_TOKENS, LATENCY_S, COST_USD)
"""The measures that are compared beside accuracy."""

_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """The values of a record that are compared. `correct` is None for an errored question; `values` are those of `PAIRED`."""

    conversation_id: str
    correct: bool | None
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean of differences over `n` questions and its 95 % interval; None if there is too little data for one.

    `rough`: there were so few conversations that questions were resampled, as if they were independent.
    """

    mean: float
    interval: tuple[float, float] | None
    n: int
    rough: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """`first` against `second`, over the questions that both answered; accuracies and their differences from -1 to 1.

    - `bounds`: the difference over all questions that both were asked, if every errored answer counted against the first,
      and if every one counted for it; None without errors.
    - `detectable`: the smallest difference that is detected with a power of 80 % (`detectable_difference`).
    - `p`: of McNemar's test; `p_holm`: adjusted for all pairs tested together.
    - `measures`: the differences of a question's `PAIRED` measures, by name; None where they are unknown.
    - `word`: the result for the first: better, worse, no difference larger than x, cannot tell.
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
    measures: Mapping[str, Difference | None]
    word: str

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        return {**{name: value for name, value in values.items() if name != "measures"}, **values["measures"]}


class Outcomes:
    """Collects what is paired, while a run's records are read for its summary.

    `by_backend`: outcomes by backend and question id, over the headline categories. `question_ids`: over all categories.
    """

    def __init__(self, headline: Collection[str]) -> None:
        self._headline = headline
        self.by_backend: dict[str, dict[str, Outcome]] = {}
        self.question_ids: set[str] = set()

    def collect(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yields the records as they are."""
        for record in records:
            self.question_ids.add(record.question_id)
            if record.category in self._headline:
                self.by_backend.setdefault(record.backend, {})[record.question_id] = Outcome(
                    record.conversation_id,
                    record.correct if record.scored else None,
                    {measure.name: measure.value(record) for measure in PAIRED},
                )
            yield record


def compare_pairs(
    names: Sequence[tuple[str, str]],
    outcomes_of: Mapping[str, Mapping[str, Outcome]],
    *,
    seed: int,
    resamples: int = 4000,
) -> list[Pair]:
    """The results for the named pairs, without those that have no question in common that both answered."""
    pairs = [
        pair
        for first, second in names
        if (pair := _pair(first, second, outcomes_of[first], outcomes_of[second], seed, resamples))
    ]
    adjusted = holm([pair.p for pair in pairs])
    pairs = [replace(pair, p_holm=p) for pair, p in zip(pairs, adjusted, strict=True)]
    return [replace(pair, word=_word(pair)) for pair in pairs]


def difference(
    values: Sequence[float],
    conversations: Sequence[Hashable],
    *,
    seed: int,
    resamples: int = 4000,
    least: tuple[float, float] | None = None,
) -> Difference:
    """The mean of paired differences, with an interval from a bootstrap of whole conversations.

    The interval is never narrower than `least`, by default Student's interval over the questions: conversations that happen
    to agree do not make a figure more certain than its questions do.
    """
    few = len(set(conversations)) < FEW_CONVERSATIONS
    clusters: Sequence[Hashable] = range(len(values)) if few else conversations
    bootstrapped = bootstrap_mean(values, clusters, seed=seed, resamples=resamples)
    intervals = [ends for ends in (bootstrapped, least or t_interval(values)) if ends]
    hull = (min(low for low, _ in intervals), max(high for _, high in intervals)) if intervals else None
    return Difference(float(sum(values) / len(values)), hull, len(values), few)


def _pair(
    first: str,
    second: str,
    outcomes_of_first: Mapping[str, Outcome],
    outcomes_of_second: Mapping[str, Outcome],
    seed: int,
    resamples: int,
) -> Pair | None:
    common = [(a, outcomes_of_second[q]) for q, a in outcomes_of_first.items() if q in outcomes_of_second]
    answered = [(a, b) for a, b in common if a.correct is not None and b.correct is not None]
    if not answered:
        return None

    def mean(value: Callable[[Outcome], float | None], least: tuple[float, float] | None = None) -> Difference | None:
        known = [
            (x - y, a.conversation_id)
            for a, b in answered
            if (x := value(a)) is not None and (y := value(b)) is not None
        ]
        return difference(*zip(*known, strict=True), seed=seed, resamples=resamples, least=least) if known else None

    def mean_of(measure: Measure) -> Difference | None:
        result = mean(lambda outcome: outcome.values[measure.name])
        return _within_one(result) if measure.summary == "share" else result

    cells = [0, 0, 0, 0]
    for a, b in answered:
        cells[2 * (not a.correct) + (not b.correct)] += 1
    accuracy = mean(lambda outcome: outcome.correct, newcombe(*cells))
    assert accuracy is not None  # there is a question that both answered
    p = mcnemar(cells[1], cells[2])
    return Pair(
        first,
        second,
        accuracy,
        bounds=_bounds(common) if len(common) > len(answered) else None,
        only_first=cells[1],
        only_second=cells[2],
        p=p,
        p_holm=p,
        detectable=detectable_difference(len(answered), (cells[1] + cells[2]) / len(answered)),
        measures={measure.name: mean_of(measure) for measure in PAIRED},
        word="",
    )


def _within_one(result: Difference | None) -> Difference | None:
    """Shares from 0 to 1 differ by at most 1, but the interval of a few questions can be wider."""
    if result is None or result.interval is None:
        return result
    low, high = result.interval
    return replace(result, interval=(max(-1.0, low), min(1.0, high)))


def _bounds(outcome_pairs: Sequence[tuple[Outcome, Outcome]]) -> tuple[float, float]:
    def right(outcome: Outcome, *, if_errored: bool) -> bool:
        return if_errored if outcome.correct is None else outcome.correct

    against, in_favour = (
        sum(right(a, if_errored=favour) - right(b, if_errored=not favour) for a, b in outcome_pairs)
        for favour in (False, True)
    )
    return against / len(outcome_pairs), in_favour / len(outcome_pairs)


def _word(pair: Pair) -> str:
    """Better or worse only if the adjusted test and the interval agree, and the errored questions could not change it."""
    ends = [*(pair.accuracy.interval or (-1.0, 1.0)), *(pair.bounds or ())]
    if pair.p_holm < _ALPHA and min(ends) > 0:
        return "better"
    if pair.p_holm < _ALPHA and max(ends) < 0:
        return "worse"
    widest = max(map(abs, ends))
    if widest <= EQUIVALENCE_MARGIN:
        return f"no difference larger than {math.ceil(1000 * widest - 1e-9) / 10:.1f}"
    return "cannot tell"


def pair_notes(pairs: Sequence[Pair]) -> list[Note]:
    """The notes on the tables of pairs."""
    if not pairs:
        return []
    text = (
        "Pairs: each difference is the first minus the second, over the questions that both answered. Won: the first is right "
        "and the second is wrong. Better or worse: the p value of McNemar's exact test, adjusted by Holm for the number of "
        "pairs, is below 0.05, and the 95 % interval excludes 0. No difference larger than x: the interval is within ±x "
        f"points, and x is at most {100 * EQUIVALENCE_MARGIN:g}. Detectable: the smallest difference that this number of "
        "questions detects in 80 of 100 such runs if questions are independent; if conversations differ, it is larger. "
        "--pairs all tests every memory against every other."
    )
    if any(pair.measures[EVIDENCE_RECALL.name] for pair in pairs):
        text += " Evidence recall: over the answerable questions that have evidence."
    notes = [Note(NoteKind.PAIRS, text)]
    if any(pair.accuracy.rough for pair in pairs):
        notes.append(
            Note(
                NoteKind.ROUGH_INTERVALS,
                f"The intervals of the pairs are rough: with fewer than {FEW_CONVERSATIONS} conversations, questions are "
                "resampled as if they were independent, and differences between conversations are not in the intervals.",
            )
        )
    if any(pair.bounds for pair in pairs):
        notes.append(
            Note(
                NoteKind.ERROR_BOUNDS,
                "Errors wrong / right: the figure if every answer that ended in an error were wrong, and if it were right (in "
                "a pair: against the first, and for it). The result of a pair holds for both.",
            )
        )
    return notes
