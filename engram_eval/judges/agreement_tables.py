"""Tables and notes on how well a judge agrees with recorded verdicts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from engram_eval.judges.agreement import Agreement, Proportion, agreement, wrong_answers_accepted
from engram_eval.judges.offline.judge import PARAMETERS
from engram_eval.judges.probe.adversarial import FORMS
from engram_eval.judges.verdict_file import GradedAnswer
from engram_eval.tables.table import Column, Table

Row = dict[str, Any]


def make_tables(answers: Sequence[GradedAnswer], wrong_systems: frozenset[str], judge: str) -> list[Table[Row]]:
    """Agreement and mistakes on the honest answers, and how many answers of the wrong systems are accepted.

    Each row holds its label under "answers" and an Agreement or a WrongAnswersAccepted under "result".
    """
    honest = [answer for answer in answers if answer.recorded.system not in wrong_systems]
    wrong = [answer for answer in answers if answer.recorded.system in wrong_systems]
    tables = []
    if honest:
        rows = [{"answers": label, "result": agreement(group)} for label, group in _groups(honest)]
        tables += [_agreement_table(rows, judge), _mistakes_table(rows)]
    if wrong:
        rows = [{"answers": label, "result": wrong_answers_accepted(group)} for label, group in _by_system(wrong)]
        tables.append(_wrong_answers_table(rows, judge))
    return tables


def make_adversarial_table(answers: Sequence[GradedAnswer], judge: str) -> Table[Row]:
    """How many answers of each adversarial form the judge accepts. Rows as in `make_tables`."""
    by_form = [(form, [a for a in answers if a.recorded.system == form]) for form in FORMS]
    rows = [{"answers": form, "result": wrong_answers_accepted(group)} for form, group in by_form if group]
    columns = [
        _LABEL,
        *_error_column(rows),
        *_proportion_columns(f"accepted by {judge}", lambda row: row["result"].judged),
    ]
    return Table("Answers that are wrong by construction, in %", columns, rows)


def _groups(answers: Sequence[GradedAnswer]) -> list[tuple[str, list[GradedAnswer]]]:
    """All answers, then each system's, then each category's. Answers without a category are only in the first group."""
    categories = sorted({answer.recorded.question.category for answer in answers} - {""})
    by_category = [
        (f"category {name}", [answer for answer in answers if answer.recorded.question.category == name])
        for name in categories
    ]
    return [("overall", list(answers)), *_by_system(answers), *by_category]


def _by_system(answers: Sequence[GradedAnswer]) -> list[tuple[str, list[GradedAnswer]]]:
    systems = sorted({answer.recorded.system for answer in answers})
    return [
        (name or "no system", [answer for answer in answers if answer.recorded.system == name])
        for name in systems
        if name or len(systems) > 1
    ]


def _agreement_table(rows: list[Row], judge: str) -> Table[Row]:
    columns = [
        _LABEL,
        Column("n", lambda row: row["result"].n, _whole),
        *_error_column(rows),
        Column("recorded", lambda row: row["result"].recorded, _percent),
        Column(judge, lambda row: row["result"].judged, _percent),
        Column("difference", _difference, lambda points: f"{points:+.1f}"),
        Column("agreement", lambda row: row["result"].same.rate, _percent),
        Column("95 % interval", lambda row: row["result"].same.ci, _percent_range),
        Column("Cohen's κ", lambda row: row["result"].kappa, "{:.2f}".format),
        Column("95 % interval", lambda row: row["result"].kappa_ci, lambda ci: f"{ci[0]:.2f} to {ci[1]:.2f}"),
    ]
    return Table(f"Answers accepted by the recorded judge and by {judge}, in %", columns, rows)


def _mistakes_table(rows: list[Row]) -> Table[Row]:
    columns = [
        _LABEL,
        *_proportion_columns("false accepts", lambda row: row["result"].false_accepts),
        *_proportion_columns("false rejects", lambda row: row["result"].false_rejects),
    ]
    return Table("Disagreements, in %", columns, rows)


def _wrong_answers_table(rows: list[Row], judge: str) -> Table[Row]:
    columns = [
        _LABEL,
        *_error_column(rows),
        *_proportion_columns(f"accepted by {judge}", lambda row: row["result"].judged),
        *_proportion_columns("by the recorded judge", lambda row: row["result"].recorded),
    ]
    return Table("Answers that are wrong on purpose, in %", columns, rows)


def _proportion_columns(name: str, value: Callable[[Row], Proportion]) -> list[Column[Row]]:
    return [
        Column(name, lambda row: value(row).rate, _percent),
        Column("95 % interval", lambda row: value(row).ci, _percent_range),
        Column("count", lambda row: value(row), lambda proportion: f"{proportion.count:,} of {proportion.n:,}"),
    ]


def _error_column(rows: list[Row]) -> list[Column[Row]]:
    """The column of errors, if there are any."""
    if not any(row["result"].errors for row in rows):
        return []
    return [Column("errors", lambda row: row["result"].errors or None, _whole)]


def _difference(row: Row) -> float | None:
    """In percentage points."""
    result: Agreement = row["result"]
    return None if result.judged is None or result.recorded is None else 100 * (result.judged - result.recorded)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _percent_range(ci: tuple[float, float]) -> str:
    return f"{100 * ci[0]:.1f}–{100 * ci[1]:.1f}"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


_LABEL: Column[Row] = Column("answers", lambda row: row["answers"], str)


def make_notes(tables: Sequence[Table[Row]], judge: str, sha256: str, *, wrong: bool) -> list[str]:
    """What the figures mean, one line each. `wrong`: the last table is about answers that are wrong on purpose."""
    notes = []
    if len(tables) > int(wrong):
        notes += [
            "Agreement: how often both judges give the same verdict. Its interval and that of κ resample whole "
            "conversations; with few conversations they are rough.",
            "Cohen's κ: agreement beyond what two judges with these rates would reach by chance. 1 is perfect agreement, "
            "0 is no better than chance, – is undefined because all verdicts are the same.",
            "False accepts: the share of answers recorded as wrong that this judge accepts. False rejects: the share of "
            "answers recorded as right that it rejects. Wilson's intervals. The recorded judge makes mistakes too.",
        ]
    if wrong:
        notes.append(
            "Wrong on purpose: all these answers are wrong, so each one that a judge accepts is its mistake. They are not "
            "in the other tables."
        )
    if judge == "offline" and (note := _fitted_note(sha256)):
        notes.append(note)
    return notes


ADVERSARIAL_NOTES = [
    "Echo: the question, also with words before it or as a statement. Near miss: the gold with other words, names, numbers or "
    "dates. Negation: the gold denied. Hedge: the gold among other candidates. Context dump: the gold among much else. "
    "Content-free: such as 'The answer is correct'.",
    "Each answer that the judge accepts is its mistake, apart from a few near misses that say the same by chance. Intervals "
    "resample whole conversations.",
]


def _fitted_note(sha256: str) -> str:
    """A warning if the offline judge was fitted to this very file, where it agrees better than elsewhere; else empty."""
    parameters = json.loads(PARAMETERS.read_text(encoding="utf-8"))
    if parameters["sha256"] != sha256:
        return ""
    measured = parameters["agreement"]["conversation_left_out"]
    return (
        "The offline judge was fitted to this very file. On conversations that it was not fitted to, its agreement was "
        f"{100 * measured['accuracy']:.1f} and κ {measured['kappa']:.2f} (nested leave-one-conversation-out, honest answers)."
    )
