"""Tables: a column is a value with its own name, unit and source in the summary; a renderer knows nothing of metrics.

Three tables make a comparison: what was answered, from what context, in what time. The best value of a column is marked, among
the memories only: controls are there to be read against.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from engram_eval.tables.table import Column, Row, Table


def _memory(row: Row) -> bool:
    return not row["control"] and not row["sees_evidence"]


def _bound_memory(row: Row) -> bool:
    """The full history holds all evidence and has nothing to rank: in what is recalled within a budget it has no part."""
    return _memory(row) and row["context_limit"] == "budget"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _share(value: float) -> str:
    return f"{value:.3f}"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _milliseconds(value: float) -> str:
    return f"{1000 * value:,.1f}" if value < 1 else f"{1000 * value:,.0f}"


def _at(*path: str) -> Callable[[Row], Any]:
    """The value at a path of keys; None where a step is missing."""

    def value(row: Row) -> Any:
        found: Any = row
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    return value


def _pair(
    name: str, key: str, show: Callable[[float], str], best: Literal["high", "low"] | None = None
) -> list[Column]:
    return [Column(f"{name} {q}", _at(key, q), show, best) for q in ("p50", "p95")]


def answers_table(rows: Sequence[Row], categories: Sequence[str], headline: Sequence[str]) -> Table:
    """How often the answer was right."""
    apart = [category for category in categories if category not in headline]
    present = [c for c in [*headline, *apart] if any(c in row["by_category"] for row in rows)]
    columns = [
        Column("backend", _at("backend"), str),
        Column("accuracy", _at("accuracy"), _percent, "high"),
        _interval("accuracy_ci", _percent),
        *_without_key_errors(rows),
        Column("F1", _at("f1"), _percent, "high"),
        *(Column(c, _at("by_category", c, "accuracy"), _percent, "high" if c in headline else None) for c in present),
        Column("scored", _scored, str),
        Column("errors", lambda row: row["errors"] or None, _whole),
        *_if_errors(rows, _accuracy_bounds, _from_to(_percent)),
    ]
    over = ", ".join(c for c in headline if c in present)
    aside = f"; {', '.join(c for c in apart if c in present)} apart" if any(c in present for c in apart) else ""
    return Table(f"Answers, in % (accuracy and F1 over {over}{aside})", columns, list(rows), _memory)


def pairs_table(rows: Sequence[Row]) -> Table:
    """Which of two is better, a line a pair (`Pair.to_json`)."""
    columns = [
        Column("pair", _versus, str),
        Column("questions", _at("accuracy", "n"), _whole),
        Column("accuracy", _at("accuracy", "mean"), _points),
        Column("95 % interval", _at("accuracy", "interval"), _from_to(_points)),
        *_if_errors(rows, _at("bounds"), _from_to(_points)),
        Column("won : lost", lambda row: f"{row['only_first']:,} : {row['only_second']:,}", str),
        Column("p (Holm)", _at("p_holm"), lambda p: f"{p:.3f}" if p >= 0.001 else "<0.001"),
        Column("detectable", _at("detectable"), _percent),
        Column("the first is", _at("word"), str),
    ]
    return Table("Pairs: difference in accuracy, in points", columns, list(rows), _nobody)


def takes_table(rows: Sequence[Row]) -> Table:
    """What two differ by in evidence found and in what a question takes, a line a pair; dollars where there are any."""
    measures: list[tuple[str, str, Callable[[float], str]]] = [
        ("evidence recall", "evidence_recall", lambda value: f"{value:+.3f}"),
        ("tokens", "tokens", lambda value: f"{value:+,.0f}"),
        ("total ms", "latency_s", lambda value: f"{1000 * value:+,.1f}"),
        ("$", "cost_usd", lambda value: f"{'-' if value < 0 else '+'}{_dollars(abs(value))}"),
    ]
    columns = [Column("pair", _versus, str)]
    for name, key, show in measures:
        known = [row[key] for row in rows if row[key]]
        if key == "evidence_recall" and not known:
            continue
        if key == "cost_usd" and not any(facts["mean"] or any(facts["interval"] or ()) for facts in known):
            continue
        columns.append(Column(name, _at(key, "mean"), show))
        columns.append(Column("95 % interval", _at(key, "interval"), _from_to(show)))
    return Table("Pairs: mean differences of a question's context, time and cost", columns, list(rows), _nobody)


def context_table(rows: Sequence[Row]) -> Table:
    """What stood in the context, and how long it was."""
    columns = [
        Column("backend", _at("backend"), str),
        Column("bound", _at("bound"), str),
        Column("evidence recall", _at("evidence_recall"), _share, "high"),
        _interval("evidence_recall_ci", _share),
        Column("all evidence", _at("evidence_all"), _share, "high"),
        Column("nDCG@10", _at("ndcg@10"), _share, "high"),
        Column("answer in context", _at("answer_in_context"), _share, "high"),
        Column("tokens mean", _at("context_tokens", "mean"), _whole),
        *_pair("tokens", "context_tokens", _whole),
    ]
    return Table("Context (as it was sent to the reader)", columns, list(rows), _bound_memory)


def sessions_table(rows: Sequence[Row]) -> Table:
    """Where the evidence sessions stand among those of the context."""
    columns = [
        Column("backend", _at("backend"), str),
        Column("in the context, mean", _at("sessions_in_context"), lambda count: f"{count:.1f}"),
        *(Column(f"recall all@{k}", _at(f"session_recall_all@{k}"), _share, "high") for k in (5, 10)),
        *(Column(f"nDCG@{k}", _at(f"session_ndcg@{k}"), _share, "high") for k in (5, 10)),
    ]
    title = "Sessions (distinct sessions of the turns in the context, best first)"
    return Table(title, columns, list(rows), _bound_memory)


def misses_table(rows: Sequence[Row]) -> Table:
    """At which stage wrong answers were lost, in shares of them."""
    every = dict.fromkeys(cause for row in rows for cause in row["causes"])  # in the order of their stages
    causes = [cause for cause in every if any(row["causes"][cause] for row in rows)]
    columns = [
        Column("backend", _at("backend"), str),
        Column("wrong", lambda row: sum(row["causes"].values()), _whole),
        *(Column(cause, _share_of_misses(cause), _percent) for cause in causes),
    ]
    return Table("Misses, in % of the wrong answers", columns, [row for row in rows if _memory(row)], _memory)


def _share_of_misses(cause: str) -> Callable[[Row], float | None]:
    def share(row: Row) -> float | None:
        wrong = sum(row["causes"].values())
        return row["causes"][cause] / wrong if wrong else None

    return share


def money_table(rows: Sequence[Row]) -> Table:
    """What it cost, cached or not: the memory's own, and apart from it the judging."""
    columns = [
        Column("backend", _at("backend"), str),
        Column("$ ingest", _at("ingest_cost_usd"), _dollars),
        Column("$ answers", _at("answer_cost_usd"), _dollars),
        Column("$ total", _at("cost_usd"), _dollars, "low"),
        Column("$ a correct answer", _at("cost_per_correct_usd"), _dollars, "low"),
        Column("cheaper than full history", _cheaper, str),
        Column("$ judge", _at("judge_cost_usd"), _dollars),
    ]
    return Table(
        "Money (total = ingest + answers, as if nothing had been cached; judging apart)", columns, list(rows), _memory
    )


def _cheaper(row: Row) -> str | None:
    if "cheaper_than_full_history_after" not in row or not _memory(row):
        return None
    questions = row["cheaper_than_full_history_after"]
    return "never" if questions is None else f"from question {questions:,}"


def _dollars(value: float) -> str:
    """Three digits that count, cents at least: 12.35, 0.104, 0.0000312."""
    if value == 0 or value >= 1:
        return f"{value:,.2f}"
    return f"{value:.{2 - math.floor(math.log10(value))}f}"


def time_table(rows: Sequence[Row]) -> Table:
    """How long it took."""
    columns = [
        Column("backend", _at("backend"), str),
        *_pair("recall ms", "retrieval_s", _milliseconds),
        *_pair("answer ms", "answer_s", _milliseconds),
        *_pair("total ms", "latency_s", _milliseconds, "low"),
        Column("ingest s", _at("ingest_s", "total"), lambda value: f"{value:,.2f}"),
    ]
    return Table(
        "Time (a question's; total = recall + answer; ingest: all conversations)", columns, list(rows), _memory
    )


def _interval(key: str, show: Callable[[float], str]) -> Column:
    return Column(
        "95 % interval",
        lambda row: None if row[key][0] is None else row[key],
        lambda ends: f"{show(ends[0])}–{show(ends[1])}",
    )


def _versus(row: Row) -> str:
    return f"{row['first']} : {row['second']}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _from_to(show: Callable[[float], str]) -> Callable[[Sequence[float]], str]:
    return lambda ends: f"{show(ends[0])} to {show(ends[1])}"


def _without_key_errors(rows: Sequence[Row]) -> list[Column]:
    if not any("without_label_errors" in row for row in rows):
        return []
    return [
        Column("without key errors", _at("without_label_errors", "accuracy"), _percent, "high"),
        Column("of", _at("without_label_errors", "answered"), _whole),
    ]


def _if_errors(rows: Sequence[Row], bounds: Callable[[Row], Any], show: Callable[[Any], str]) -> list[Column]:
    """The column, where there is an error."""
    return [Column("errors wrong / right", bounds, show)] if any(bounds(row) for row in rows) else []


def _accuracy_bounds(row: Row) -> tuple[float, float] | None:
    """Accuracy if all answers that ended in an error were wrong, and if they were right."""
    missing = row["n"] - row["answered"]
    right = row["answered"] * (row["accuracy"] or 0.0)
    return (right / row["n"], (right + missing) / row["n"]) if missing else None


def _nobody(_row: Row) -> bool:
    return False


def _scored(row: Row) -> str:
    """Of the headline questions; those that ended in an error are not scored."""
    return f"{row['answered']:,}" if row["answered"] == row["n"] else f"{row['answered']:,} of {row['n']:,}"
