"""Tables and notes on how well a judge agrees with recorded verdicts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from engram_eval.judges.agreement import Agreement, Share, acceptance, agreement
from engram_eval.judges.offline.judge import PARAMETERS
from engram_eval.judges.verdict_file import Graded
from engram_eval.tables.table import Column, Table

Row = dict[str, Any]


def tables(answers: Sequence[Graded], wrong: frozenset[str], judge: str) -> list[Table[Row]]:
    """Agreement and mistakes on the honest answers; who accepts what of the answers that are wrong on purpose."""
    honest = [answer for answer in answers if answer.recorded.system not in wrong]
    made_up = [answer for answer in answers if answer.recorded.system in wrong]
    found = []
    if honest:
        rows = [{"answers": label, "is": agreement(part)} for label, part in _parts(honest)]
        found += [_agreement_table(rows, judge), _mistakes_table(rows)]
    if made_up:
        rows = [{"answers": label, "is": acceptance(part)} for label, part in _systems(made_up)]
        found.append(_acceptance_table(rows, judge))
    return found


def _parts(answers: Sequence[Graded]) -> list[tuple[str, list[Graded]]]:
    """All of them, then each system's, then each category's; what has no name is in the first alone."""
    categories = sorted({answer.recorded.question.category for answer in answers} - {""})
    by_category = [
        (f"category {name}", [answer for answer in answers if answer.recorded.question.category == name])
        for name in categories
    ]
    return [("overall", list(answers)), *_systems(answers), *by_category]


def _systems(answers: Sequence[Graded]) -> list[tuple[str, list[Graded]]]:
    systems = sorted({answer.recorded.system for answer in answers})
    return [
        (name or "no system", [answer for answer in answers if answer.recorded.system == name])
        for name in systems
        if name or len(systems) > 1
    ]


def _agreement_table(rows: list[Row], judge: str) -> Table[Row]:
    columns = [
        _LABEL,
        Column("n", lambda row: row["is"].n, _whole),
        *_errors(rows),
        Column("recorded", lambda row: row["is"].recorded, _percent),
        Column(judge, lambda row: row["is"].judged, _percent),
        Column("difference", _difference, lambda points: f"{points:+.1f}"),
        Column("agreement", lambda row: row["is"].alike.rate, _percent),
        Column("95 % interval", lambda row: row["is"].alike.ci, _percents),
        Column("Cohen's κ", lambda row: row["is"].kappa, "{:.2f}".format),
        Column("95 % interval", lambda row: row["is"].kappa_ci, lambda ci: f"{ci[0]:.2f} to {ci[1]:.2f}"),
    ]
    return Table(f"Answers accepted by the recorded judge and by {judge}, in %", columns, rows)


def _mistakes_table(rows: list[Row]) -> Table[Row]:
    columns = [
        _LABEL,
        *_share("false accepts", lambda row: row["is"].false_accepts),
        *_share("false rejects", lambda row: row["is"].false_rejects),
    ]
    return Table("Where they differ, in %", columns, rows)


def _acceptance_table(rows: list[Row], judge: str) -> Table[Row]:
    columns = [
        _LABEL,
        *_errors(rows),
        *_share(f"accepted by {judge}", lambda row: row["is"].judged),
        *_share("by the recorded judge", lambda row: row["is"].recorded),
    ]
    return Table("Answers that are wrong on purpose, in %", columns, rows)


def _share(name: str, of: Callable[[Row], Share]) -> list[Column[Row]]:
    return [
        Column(name, lambda row: of(row).rate, _percent),
        Column("95 % interval", lambda row: of(row).ci, _percents),
        Column("of", lambda row: of(row), lambda share: f"{share.count:,} of {share.n:,}"),
    ]


def _errors(rows: list[Row]) -> list[Column[Row]]:
    """The column, if there is anything to show in it."""
    return [Column("errors", lambda row: row["is"].errors or None, _whole)] if any(r["is"].errors for r in rows) else []


def _difference(row: Row) -> float | None:
    """In points of a percentage."""
    found: Agreement = row["is"]
    return None if found.judged is None or found.recorded is None else 100 * (found.judged - found.recorded)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _percents(ci: tuple[float, float]) -> str:
    return f"{100 * ci[0]:.1f}–{100 * ci[1]:.1f}"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


_LABEL: Column[Row] = Column("answers", lambda row: row["answers"], str)


def notes(found: Sequence[Table[Row]], judge: str, sha256: str, *, wrong: bool) -> list[str]:
    """What the figures mean, a line each."""
    lines = []
    if len(found) > int(wrong):
        lines += [
            "Agreement: how often both judges say the same. Its interval and κ's draw whole conversations anew; that of few "
            "conversations is rough.",
            "Cohen's κ: agreement beyond what two judges with these shares would reach by chance; 1 is always, 0 no better "
            "than chance, – undefined, as all verdicts are the same.",
            "False accepts: accepted here, of the answers recorded as wrong; false rejects: rejected here, of those recorded "
            "as right (Wilson's intervals). The recorded judge errs too.",
        ]
    if wrong:
        lines.append(
            "Wrong on purpose: every such answer is wrong, so whatever a judge accepts of them is its own mistake; they are "
            "in no other table."
        )
    if judge == "offline" and (reached := fitted_to(sha256)):
        lines.append(reached)
    return lines


def fitted_to(sha256: str) -> str:
    """That the offline judge was fitted to this very file, if so: then it agrees better here than elsewhere."""
    parameters = json.loads(PARAMETERS.read_text(encoding="utf-8"))
    if parameters["sha256"] != sha256:
        return ""
    reached = parameters["agreement"]
    return (
        "The offline judge was fitted to this very file; on conversations that it was not fitted to it reached an agreement "
        f"of {100 * reached['accuracy']:.1f} and κ {reached['kappa']:.2f} (leave-one-conversation-out, honest answers)."
    )
