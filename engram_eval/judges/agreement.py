"""How well a judge agrees with recorded verdicts: a file of graded answers in, the same answers graded anew, two tables out.

A line of the file is a JSON object with question_id, question, gold, answer and correct (the recorded verdict), and if
need be conversation_id, category, system (who answered), benchmark and unanswerable. A call that fails is an error: it
is counted and shown, and is a verdict of neither kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from engram_eval.errors import UserError
from engram_eval.judges.verdict_file import Graded, Recorded
from engram_eval.metrics.intervals import bootstrap_proportion, wilson
from engram_eval.metrics.kappa import bootstrap_kappa, cohen_kappa
from engram_eval.types import Verdict


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
        alike=Share(sum(alike), n, bootstrap_proportion(alike, clusters, seed=seed) if n else None),
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
        ci = bootstrap_proportion(accepted, clusters, seed=seed) if accepted else None
        return Share(sum(accepted), len(accepted), ci)

    return Acceptance(
        len(answers) - len(pairs), share([now for _, now, _ in pairs]), share([before for before, _, _ in pairs])
    )
