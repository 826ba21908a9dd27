"""The tables and notes of several judges side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from engram_eval.compare.judge_comparison import Flip, JudgeComparison, JudgePair, Ranking
from engram_eval.metrics.accuracy import ACCURACY
from engram_eval.results.summary import BackendSummary
from engram_eval.tables.numbers import interval, percent, points, whole
from engram_eval.tables.table import Column, Table
from engram_eval.tables.text import plural

FLIPS_SHOWN = 15
_LONGEST = 60  # characters of a gold or an answer in a table


def make_tables(comparison: JudgeComparison) -> list[Table[Any]]:
    """Accuracy, order, agreement, and the first verdicts that differ."""
    tables: list[Table[Any]] = [_accuracy_table(comparison)]
    if len(comparison.compared) > 1:
        tables.append(_order_table(comparison))
    tables.append(_agreement_table(comparison.pairs))
    if comparison.flips:
        tables.append(_flips_table(comparison))
    return tables


def _accuracy_table(comparison: JudgeComparison) -> Table[str]:
    columns: list[Column[str]] = [Column("backend", lambda backend: backend, str)]
    for label, summary in comparison.summaries.items():
        columns += _accuracy_columns(label, summary.backends)
    first = next(iter(comparison.summaries.values()))
    return Table("Accuracy by judge, in %", columns, list(first.backends), lambda b: b in comparison.compared)


def _accuracy_columns(judge: str, backends: Mapping[str, BackendSummary]) -> list[Column[str]]:
    columns: list[Column[str]] = [
        Column(judge, lambda label: backends[label].mean(ACCURACY.name), percent, "high"),
        Column("95 % interval", lambda label: backends[label].interval(ACCURACY.name), interval(percent)),
    ]
    if any(backend.errors for backend in backends.values()):
        columns.append(Column("errors", lambda label: backends[label].errors or None, whole))
    return columns


def _order_table(comparison: JudgeComparison) -> Table[tuple[str, Ranking]]:
    columns: list[Column[tuple[str, Ranking]]] = [
        Column("judge", lambda row: row[0], str),
        Column("order of the memories", lambda row: _in_order(row[1]), str),
    ]
    return Table("Order by judge, best first", columns, list(comparison.rankings.items()))


def _in_order(ranking: Ranking) -> str:
    marks = [" > " if clear else " = " for clear in ranking.clear]
    named = [f"{name} {percent(value)}" for name, value in zip(ranking.names, ranking.accuracies, strict=True)]
    return "".join(name + mark for name, mark in zip_longest(named, marks, fillvalue=""))


def _agreement_table(pairs: Sequence[JudgePair]) -> Table[JudgePair]:
    columns: list[Column[JudgePair]] = [
        Column("judges", lambda pair: f"{pair.first} / {pair.second}", str),
        Column("answers", lambda pair: pair.agreement.n, whole),
    ]
    if any(pair.agreement.errors for pair in pairs):
        columns.append(Column("errors", lambda pair: pair.agreement.errors or None, whole))
    columns += [
        Column("first accepts", lambda pair: pair.agreement.recorded, percent),
        Column("second accepts", lambda pair: pair.agreement.judged, percent),
        Column("difference", _difference, points),
        Column("agreement", lambda pair: pair.agreement.same.rate, percent),
        Column("95 % interval", lambda pair: pair.agreement.same.ci, interval(percent)),
        Column("Cohen's κ", lambda pair: pair.agreement.kappa, "{:.2f}".format),
        Column("95 % interval", lambda pair: pair.agreement.kappa_ci, lambda ci: f"{ci[0]:.2f} to {ci[1]:.2f}"),
        Column("right → wrong", lambda pair: pair.agreement.false_rejects.count, whole),
        Column("wrong → right", lambda pair: pair.agreement.false_accepts.count, whole),
        Column("Kendall's τ", lambda pair: pair.tau, "{:.2f}".format),
    ]
    return Table("Agreement of the judges, in %", columns, pairs)


def _difference(pair: JudgePair) -> float | None:
    agreement = pair.agreement
    if agreement.judged is None or agreement.recorded is None:
        return None
    return agreement.judged - agreement.recorded


def _flips_table(comparison: JudgeComparison) -> Table[Flip]:
    columns: list[Column[Flip]] = [
        Column("question", lambda flip: flip.record.question_id, str),
        Column("backend", lambda flip: flip.record.backend, str),
    ]
    columns += [_verdict_column(label) for label in comparison.summaries]
    columns += [
        Column("gold", lambda flip: _brief(flip.record.gold), str),
        Column("answer", lambda flip: _brief(flip.record.answer or ""), str),
    ]
    total = len(comparison.flips)
    some = f", the first {FLIPS_SHOWN} of {total:,}" if total > FLIPS_SHOWN else f": {total:,}"
    return Table(
        f"Answers on which the judges differ{some} (all are in flips.jsonl)", columns, comparison.flips[:FLIPS_SHOWN]
    )


def _verdict_column(judge: str) -> Column[Flip]:
    words = {True: "right", False: "wrong", None: "error"}
    return Column(judge, lambda flip: words[flip.verdicts[judge]], str)


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


# --- notes ------------------------------------------------------------------------------------------------------


def make_notes(comparison: JudgeComparison) -> list[str]:
    """What the figures say, and how they are computed."""
    notes = _order_notes(comparison)
    for label, errors in comparison.errors.items():
        if errors:
            notes.append(
                f"{label}: {plural(errors, 'answer')} without a verdict, which count as neither right nor wrong."
            )
    if comparison.unanswered:
        notes.append(
            f"{plural(comparison.unanswered, 'question')} without an answer in the run: no judge graded these."
        )
    left_out = [name for name in next(iter(comparison.summaries.values())).backends if name not in comparison.compared]
    if left_out:
        notes.append(f"Order, agreement and differing verdicts leave the controls out ({', '.join(left_out)}).")
    notes.append(
        "Accuracy is over the headline categories, agreement over all graded answers. Cohen's κ: agreement beyond chance; "
        "1 is perfect, 0 is chance, – is undefined because all verdicts are the same. Intervals resample whole conversations. "
        "right → wrong: the first judge accepts the answer, the second does not."
    )
    return notes


def _order_notes(comparison: JudgeComparison) -> list[str]:
    """Whether the order of the memories survives the change of judge."""
    if len(comparison.compared) < 2:
        return ["There is one memory, so there is no order that a judge could change."]
    notes = [
        f"REVERSED: {better} is better than {worse} under {pair.first}, and worse under {pair.second}."
        for pair in comparison.pairs
        for better, worse in pair.reversed
    ]
    if not notes:
        notes.append(_survives(comparison))
    notes.append(
        "Order: > is clearly better than the next, = is not. A memory is clearly better than another if the paired test of "
        "'engram-eval compare' says so: p below 0.05, adjusted for the number of pairs, and a 95 % interval that excludes 0. "
        "Kendall's τ compares the orders by accuracy alone: 1 is the same order, -1 the reverse."
    )
    return notes


def _survives(comparison: JudgeComparison) -> str:
    same_order = not any(pair.reordered for pair in comparison.pairs)
    one_only = max((pair.one_only for pair in comparison.pairs), default=0)
    clear = max((pair.same for pair in comparison.pairs), default=0)
    text = "The memories have the same order under all judges" if same_order else "The order by accuracy differs"
    if clear:
        text += f"{', and' if same_order else ', but'} no difference that is clear under two judges is reversed"
    else:
        text += ", and no difference is clear under two judges: these answers do not tell an order"
    only = f"{plural(one_only, 'difference')} {'is' if one_only == 1 else 'are'} clear under only one of two judges"
    return f"{text}; {only}." if one_only else f"{text}."
