"""How well a judge agrees with recorded verdicts: a file of graded answers in, the same answers graded anew, two tables out.

A line of the file is a JSON object with question_id, question, gold, answer and correct (the recorded verdict), and if
need be conversation_id, category, system (who answered), benchmark and unanswerable. A call that fails is an error: it
is counted and shown, and is a verdict of neither kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from engram_eval.datasets.json_input import Node, parse_line
from engram_eval.errors import UserError
from engram_eval.judges import Judge
from engram_eval.judges.offline import PARAMETERS
from engram_eval.pool import Pool
from engram_eval.roles import Family
from engram_eval.stats import bootstrap_kappa, bootstrap_share, cohen_kappa, wilson
from engram_eval.table import Column, Row, Table
from engram_eval.types import Question, Verdict

_FORM = "what 'engram-eval agree --help' says of a line"
_INDEX = re.compile(r":q\d+$")  # of a LoCoMo question in its conversation


@dataclass(frozen=True, slots=True)
class Recorded:
    """An answer and the verdict that is on record for it. `system`: who answered; empty if that is not told."""

    question: Question
    answer: str
    correct: bool
    system: str
    family: Family


@dataclass(frozen=True, slots=True)
class Graded:
    """The same answer as another judge saw it: a verdict, or the error in which the call ended."""

    recorded: Recorded
    verdict: Verdict | None
    error: str | None

    def to_json(self) -> dict[str, Any]:
        """A line of --out. `correct` and `reason` are null for an error."""
        return {
            "question_id": self.recorded.question.id,
            "correct": self.verdict.correct if self.verdict else None,
            "reason": self.verdict.reason if self.verdict else None,
            "error": self.error,
        }


# --- the file ---------------------------------------------------------------------------------------------------


def read_verdicts(path: Path) -> tuple[list[Recorded], str]:
    """The answers in the order of their lines, blank lines passed over, and the file's sha256.

    Raises UserError with file and line for whatever is not as it should be.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; name a file of recorded verdicts") from None
    except IsADirectoryError:
        raise UserError(f"{path}: this is a folder; name the file of verdicts in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read ({reason}); check the name and its permissions") from None
    lines = enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1)
    recorded = [_recorded(parse_line(line, path, number, _FORM)) for number, line in lines if line.strip()]
    if not recorded:
        raise UserError(f"{path}: line 1: holds no verdict; give it one JSON object a line")
    return recorded, hashlib.sha256(content).hexdigest()


def _recorded(line: Node) -> Recorded:
    question_id = line.get("question_id").scalar()
    return Recorded(
        Question(
            id=question_id,
            conversation_id=line.get("conversation_id").scalar()
            if line.has("conversation_id")
            else _INDEX.sub("", question_id),
            text=line.get("question").text(),
            gold=line.get("gold").scalar(),
            category=_optional(line, "category"),
            asked_at=None,
            evidence=(),
            evidence_sessions=(),
            unanswerable=line.has("unanswerable") and _boolean(line.get("unanswerable")),
        ),
        answer=line.get("answer").text(),
        correct=_boolean(line.get("correct")),
        system=_optional(line, "system"),
        family="longmemeval" if "longmemeval" in _optional(line, "benchmark").lower() else "locomo",
    )


def _optional(line: Node, name: str) -> str:
    return line.get(name).scalar() if line.has(name) else ""


def _boolean(node: Node) -> bool:
    if not isinstance(node.value, bool):
        raise node.fault(f"expected true or false, found {json.dumps(node.value)[:40]}")
    return node.value


def require_writable(path: Path, *, besides: Path) -> None:
    """Raises UserError if --out cannot be written there: told before anything is asked. Leaves no trace."""
    partial = _partial(path)
    try:
        if path.exists() and path.samefile(besides):
            raise UserError(f"{path}: is the file that is read; name another with --out")
        if path.exists() and not path.is_file():
            raise UserError(f"{path}: is no ordinary file; name another with --out")
        partial.open("wb").close()
        partial.unlink()
    except OSError as error:
        raise _unwritable(path, error) from None


def write_verdicts(path: Path, answers: Sequence[Graded]) -> None:
    """One line an answer, in order. The file is whole, or as it was before. Raises UserError."""
    lines = (json.dumps(answer.to_json(), ensure_ascii=False) + "\n" for answer in answers)
    partial = _partial(path)
    try:
        with partial.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise _unwritable(path, error) from None


def _partial(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be written ({error.strerror}); name another file with --out")


# --- grading ----------------------------------------------------------------------------------------------------


async def grade(
    answers: Sequence[tuple[Judge, Question, str]], limit: int, tell: Callable[[], object] = lambda: None
) -> list[Verdict | Exception]:
    """For each answer the judge's verdict or what its call ended in, in their order; up to `limit` calls at a time.

    `tell` is called after each. A UserError stops the rest, and is raised.
    """
    graded: dict[int, Verdict | Exception] = {}

    async def one(place: int, judge: Judge, question: Question, answer: str) -> None:
        try:
            graded[place] = await judge.judge(question, answer)
        except UserError:
            raise
        except Exception as error:
            graded[place] = error
        tell()

    async with Pool(limit) as pool:
        for place, (judge, question, answer) in enumerate(answers):
            await pool.run(one(place, judge, question, answer))
            await asyncio.sleep(
                0
            )  # an offline judge never gives way, and a Ctrl-C is delivered only when something does
    return [graded[place] for place in range(len(answers))]


def graded(recorded: Sequence[Recorded], verdicts: Sequence[Verdict | Exception]) -> list[Graded]:
    return [
        Graded(answer, None, f"{type(verdict).__name__}: {verdict}")
        if isinstance(verdict, Exception)
        else Graded(answer, verdict, None)
        for answer, verdict in zip(recorded, verdicts, strict=True)
    ]


def on_purpose(recorded: Sequence[Recorded], patterns: Sequence[str]) -> frozenset[str]:
    """The systems that the patterns name (`adversarial*`). Raises UserError for a pattern that names none."""
    systems = sorted({answer.system for answer in recorded})
    for pattern in patterns:
        if not any(fnmatchcase(system, pattern) for system in systems):
            known = ", ".join(repr(system) for system in systems if system) or "not named in this file"
            raise UserError(f"--wrong {pattern!r}: names no system; the systems are {known}")
    return frozenset(system for system in systems if any(fnmatchcase(system, pattern) for pattern in patterns))


# --- figures ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `n`, from 0 to 1, with a 95 % interval; None where there is nothing to count."""

    count: int
    n: int
    ci: tuple[float, float] | None

    @property
    def rate(self) -> float | None:
        return self.count / self.n if self.n else None

    @classmethod
    def by_wilson(cls, count: int, n: int) -> Share:
        return cls(count, n, wilson(count, n) if n else None)


@dataclass(frozen=True, slots=True)
class Agreement:
    """A judge against recorded verdicts on the same answers. Shares from 0 to 1; `kappa` None where it is undefined."""

    n: int
    errors: int
    recorded: float | None
    judged: float | None
    alike: Share
    kappa: float | None
    kappa_ci: tuple[float, float] | None
    false_accepts: Share
    false_rejects: Share


def agreement(answers: Sequence[Graded], *, seed: int = 0) -> Agreement:
    """Over the answers that were graded; errors are counted beside them. Intervals draw whole conversations."""
    pairs = [(a.recorded.correct, a.verdict.correct, a.recorded.question) for a in answers if a.verdict]
    theirs, ours = [before for before, _, _ in pairs], [now for _, now, _ in pairs]
    clusters = [question.conversation_id for _, _, question in pairs]
    alike = [before == now for before, now, _ in pairs]
    n, right = len(pairs), sum(theirs)
    return Agreement(
        n=n,
        errors=len(answers) - n,
        recorded=right / n if n else None,
        judged=sum(ours) / n if n else None,
        alike=Share(sum(alike), n, bootstrap_share(alike, clusters, seed=seed) if n else None),
        kappa=cohen_kappa(theirs, ours),
        kappa_ci=bootstrap_kappa(theirs, ours, clusters, seed=seed) if n else None,
        false_accepts=Share.by_wilson(sum(now and not before for before, now, _ in pairs), n - right),
        false_rejects=Share.by_wilson(sum(before and not now for before, now, _ in pairs), right),
    )


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Of answers that are wrong on purpose, how many this judge and the recorded one accept: the fewer the better."""

    errors: int
    judged: Share
    recorded: Share


def acceptance(answers: Sequence[Graded], *, seed: int = 0) -> Acceptance:
    pairs = [(a.recorded.correct, a.verdict.correct, a.recorded.question) for a in answers if a.verdict]
    clusters = [question.conversation_id for _, _, question in pairs]

    def share(accepted: list[bool]) -> Share:
        ci = bootstrap_share(accepted, clusters, seed=seed) if accepted else None
        return Share(sum(accepted), len(accepted), ci)

    return Acceptance(
        len(answers) - len(pairs), share([now for _, now, _ in pairs]), share([before for before, _, _ in pairs])
    )


# --- tables -----------------------------------------------------------------------------------------------------


def tables(answers: Sequence[Graded], wrong: frozenset[str], judge: str) -> list[Table]:
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


def _agreement_table(rows: list[Row], judge: str) -> Table:
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
    return Table(f"Answers accepted by the recorded judge and by {judge}, in %", columns, rows, _nobody)


def _mistakes_table(rows: list[Row]) -> Table:
    columns = [
        _LABEL,
        *_share("false accepts", lambda row: row["is"].false_accepts),
        *_share("false rejects", lambda row: row["is"].false_rejects),
    ]
    return Table("Where they differ, in %", columns, rows, _nobody)


def _acceptance_table(rows: list[Row], judge: str) -> Table:
    columns = [
        _LABEL,
        *_errors(rows),
        *_share(f"accepted by {judge}", lambda row: row["is"].judged),
        *_share("by the recorded judge", lambda row: row["is"].recorded),
    ]
    return Table("Answers that are wrong on purpose, in %", columns, rows, _nobody)


def _share(name: str, of: Callable[[Row], Share]) -> list[Column]:
    return [
        Column(name, lambda row: of(row).rate, _percent),
        Column("95 % interval", lambda row: of(row).ci, _percents),
        Column("of", lambda row: of(row), lambda share: f"{share.count:,} of {share.n:,}"),
    ]


def _errors(rows: list[Row]) -> list[Column]:
    """The column, if there is anything to show in it."""
    return [Column("errors", lambda row: row["is"].errors or None, _whole)] if any(r["is"].errors for r in rows) else []


def _difference(row: Row) -> float | None:
    """In points of a percentage."""
    found: Agreement = row["is"]
    return None if found.judged is None or found.recorded is None else 100 * (found.judged - found.recorded)


def _nobody(_row: Row) -> bool:
    return False


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _percents(ci: tuple[float, float]) -> str:
    return f"{100 * ci[0]:.1f}–{100 * ci[1]:.1f}"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


_LABEL = Column("answers", lambda row: row["answers"], str)


def notes(found: Sequence[Table], judge: str, sha256: str, *, wrong: bool) -> list[str]:
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
