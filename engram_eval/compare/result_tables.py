"""The result tables: answers, context, sessions, failures, time, money, and pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from engram_eval.compare.paired_tests import PAIRED, Pair
from engram_eval.compare.rows import BackendRow
from engram_eval.metrics.accuracy import ACCURACY
from engram_eval.metrics.context_tokens import CONTEXT_TOKENS
from engram_eval.metrics.cost import COST_USD
from engram_eval.metrics.evidence import EVIDENCE_RECALL
from engram_eval.metrics.latency import LATENCY_S
from engram_eval.metrics.measure import Measure
from engram_eval.metrics.measures import table_measures
from engram_eval.results.stored import Interval
from engram_eval.results.summary import Spread
from engram_eval.tables.numbers import dollars, interval, percent, points, share, signed, signed_interval, whole
from engram_eval.tables.table import Column, Table

_NAME: Column[BackendRow] = Column("backend", lambda row: row.name, str)


def answers_table(rows: Sequence[BackendRow], categories: Sequence[str], headline: Sequence[str]) -> Table[BackendRow]:
    """How often the answers were right. A category outside the headline has its own column and is in no other figure."""
    present = [
        category
        for category in [*headline, *(c for c in categories if c not in headline)]
        if any(category in row.summary.by_category for row in rows)
    ]
    columns = [_NAME]
    for measure in table_measures("answers"):
        columns += _measure_columns(measure)
        if measure is ACCURACY:
            if any(row.summary.category_mean is not None for row in rows):
                columns.append(Column("mean of categories", lambda row: row.summary.category_mean, percent, "high"))
            columns += _without_label_errors(rows)
    columns += [_category_column(category, competes=category in headline) for category in present]
    columns += [
        Column("scored", _scored, str),
        Column("errors", lambda row: row.summary.errors or None, whole),
    ]
    if any(row.summary.accuracy_bounds for row in rows):
        bounds: Column[BackendRow] = Column(
            "errors wrong / right", lambda row: row.summary.accuracy_bounds, signed_interval(percent)
        )
        columns.append(bounds)
    over = ", ".join(category for category in headline if category in present)
    separate = ", ".join(category for category in present if category not in headline)
    title = f"Answers, in % (accuracy and F1 over {over}{f'; {separate} separate' if separate else ''})"
    return Table(title, columns, rows, lambda row: row.is_memory)


def _category_column(category: str, *, competes: bool) -> Column[BackendRow]:
    def accuracy(row: BackendRow) -> float | None:
        scores = row.summary.by_category.get(category)
        return scores.mean(ACCURACY.name) if scores else None

    return Column(category, accuracy, percent, "high" if competes else None)


def _without_label_errors(rows: Sequence[BackendRow]) -> list[Column[BackendRow]]:
    if not any(row.summary.without_label_errors for row in rows):
        return []

    def accuracy(row: BackendRow) -> float | None:
        scores = row.summary.without_label_errors
        return scores.mean(ACCURACY.name) if scores else None

    def answered(row: BackendRow) -> int | None:
        scores = row.summary.without_label_errors
        return scores.answered if scores else None

    return [Column("without label errors", accuracy, percent, "high"), Column("scored without them", answered, whole)]


def _scored(row: BackendRow) -> str:
    """How many headline questions are scored: those that did not end in an error."""
    answered, asked = row.summary.answered, row.summary.n
    return f"{answered:,}" if answered == asked else f"{answered:,} of {asked:,}"


def context_table(rows: Sequence[BackendRow]) -> Table[BackendRow]:
    """What was in the context, and how long it was."""
    columns: list[Column[BackendRow]] = [_NAME, Column("limit", lambda row: row.bound, str)]
    for measure in table_measures("context"):
        columns += _measure_columns(measure)
    # No value is marked as the best: a short context is only good if it has the evidence.
    columns += _spread_columns(replace(CONTEXT_TOKENS, better=None), ("mean", "p50", "p95"))
    return Table("Context (as sent to the reader)", columns, rows, lambda row: row.is_budgeted)


def sessions_table(rows: Sequence[BackendRow]) -> Table[BackendRow]:
    """How high the evidence sessions rank among the sessions in the context."""
    columns = [_NAME]
    for measure in table_measures("sessions"):
        columns += _measure_columns(measure)
    title = "Sessions (distinct sessions of the turns in the context, best first)"
    return Table(title, columns, rows, lambda row: row.is_budgeted)


def failures_table(rows: Sequence[BackendRow]) -> Table[BackendRow]:
    """The stage at which each wrong answer was lost."""
    memories = [row for row in rows if row.is_memory]
    stages = dict.fromkeys(stage for row in rows for stage in row.summary.failure_stages)
    columns: list[Column[BackendRow]] = [
        _NAME,
        Column("wrong", lambda row: sum(row.summary.failure_stages.values()), whole),
        *(
            Column(stage, _share_of_failures(stage), percent)
            for stage in stages
            if any(row.summary.failure_stages[stage] for row in rows)
        ),
    ]
    return Table("Failures, in % of the wrong answers", columns, memories)


def _share_of_failures(stage: str) -> Callable[[BackendRow], float | None]:
    def value(row: BackendRow) -> float | None:
        wrong = sum(row.summary.failure_stages.values())
        return row.summary.failure_stages[stage] / wrong if wrong else None

    return value


def time_table(rows: Sequence[BackendRow]) -> Table[BackendRow]:
    """The time per question, and the time to ingest all conversations."""
    columns = [_NAME]
    for measure in table_measures("time"):
        columns += _measure_columns(measure)
    columns.append(Column("ingest s", lambda row: row.summary.ingest_s.total, "{:,.2f}".format))
    title = "Time (per question; total = retrieval + answer; ingest: all conversations)"
    return Table(title, columns, rows, lambda row: row.is_memory)


def money_table(rows: Sequence[BackendRow]) -> Table[BackendRow]:
    """The cost of the memory, and the cost of judging separately."""
    columns: list[Column[BackendRow]] = [
        _NAME,
        Column("$ ingest", lambda row: row.summary.ingest_cost_usd, dollars),
        Column("$ answers", lambda row: row.summary.answer_cost_usd, dollars),
        Column("$ total", lambda row: row.summary.cost_usd, dollars, "low"),
        Column("$ per correct answer", lambda row: row.summary.cost_per_correct_usd, dollars, "low"),
        Column("cheaper than full history", _cheaper, str),
        Column("$ judge", lambda row: row.summary.judge_cost_usd, dollars),
    ]
    title = "Money (total = ingest + answers, as if nothing had been cached; judging separate)"
    return Table(title, columns, rows, lambda row: row.is_memory)


def _cheaper(row: BackendRow) -> str | None:
    break_even = row.summary.cheaper_than_full_history
    if break_even is None or not row.is_memory:
        return None
    return "never" if break_even.question is None else f"from question {break_even.question:,}"


# --- columns of measures ------------------------------------------------------------------------------------------


def _measure_columns(measure: Measure) -> list[Column[BackendRow]]:
    """For a spread, the median and the 95th percentile; for any other measure, the mean and, if it is shown, its interval."""
    if measure.summary == "spread":
        return _spread_columns(measure, ("p50", "p95"))
    columns: list[Column[BackendRow]] = [
        Column(measure.heading, lambda row: row.summary.mean(measure.name), measure.show, measure.better)
    ]
    if measure.show_interval:
        columns.append(Column("95 % interval", lambda row: row.summary.interval(measure.name), interval(measure.show)))
    return columns


def _spread_columns(measure: Measure, figures: Sequence[str]) -> list[Column[BackendRow]]:
    def figure_of(figure: str) -> Callable[[BackendRow], float | None]:
        def value(row: BackendRow) -> float | None:
            spread: Spread = row.summary.spread(measure.name)
            number: float | None = getattr(spread, figure)
            return number

        return value

    return [
        Column(f"{measure.heading} {figure}", figure_of(figure), measure.show, measure.better) for figure in figures
    ]


# --- pairs --------------------------------------------------------------------------------------------------------


def accuracy_pairs_table(pairs: Sequence[Pair]) -> Table[Pair]:
    """Which backend of a pair is better: one line per pair."""
    columns: list[Column[Pair]] = [
        Column("pair", _pair_name, str),
        Column("questions", lambda pair: pair.accuracy.n, whole),
        Column("accuracy", lambda pair: pair.accuracy.mean, points),
        Column("95 % interval", lambda pair: pair.accuracy.interval, signed_interval(points)),
    ]
    if any(pair.bounds for pair in pairs):
        columns.append(Column("errors wrong / right", lambda pair: pair.bounds, signed_interval(points)))
    columns += [
        Column("won : lost", lambda pair: f"{pair.only_first:,} : {pair.only_second:,}", str),
        Column("p (Holm)", lambda pair: pair.p_holm, lambda p: f"{p:.3f}" if p >= 0.001 else "<0.001"),
        Column("detectable", lambda pair: pair.detectable, percent),
        Column("result for the first", lambda pair: pair.word, str),
    ]
    return Table("Pairs: difference in accuracy, in points", columns, pairs)


_PAIR_COLUMNS: list[tuple[str, Measure, Callable[[float], str]]] = [
    ("evidence recall", EVIDENCE_RECALL, signed(share)),
    ("tokens", CONTEXT_TOKENS, signed(whole)),
    ("total ms", LATENCY_S, signed(lambda seconds: f"{1000 * seconds:,.1f}")),
    ("$", COST_USD, signed(dollars)),
]
assert [measure for _, measure, _ in _PAIR_COLUMNS] == list(PAIRED)


def measure_pairs_table(pairs: Sequence[Pair]) -> Table[Pair]:
    """How much two backends differ in evidence recall, tokens, time and cost: one line per pair."""
    columns: list[Column[Pair]] = [Column("pair", _pair_name, str)]
    for name, measure, show in _PAIR_COLUMNS:
        known = [difference for pair in pairs if (difference := pair.measures[measure.name])]
        if measure is EVIDENCE_RECALL and not known:
            continue
        if measure is COST_USD and not any(d.mean or any(d.interval or ()) for d in known):
            continue
        columns.append(Column(name, _difference_mean(measure.name), show))
        columns.append(Column("95 % interval", _difference_interval(measure.name), signed_interval(show)))
    return Table("Pairs: mean differences in a question's context, time and cost", columns, pairs)


def _pair_name(pair: Pair) -> str:
    return f"{pair.first} : {pair.second}"


def _difference_mean(measure: str) -> Callable[[Pair], float | None]:
    def value(pair: Pair) -> float | None:
        difference = pair.measures[measure]
        return difference.mean if difference else None

    return value


def _difference_interval(measure: str) -> Callable[[Pair], Interval | None]:
    def value(pair: Pair) -> Interval | None:
        difference = pair.measures[measure]
        return difference.interval if difference else None

    return value
