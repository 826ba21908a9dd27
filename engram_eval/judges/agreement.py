"""How well a judge agrees with recorded verdicts on the same answers.

A call that failed is an error: it is counted, and it is neither an agreement nor a disagreement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from engram_eval.errors import UserError
from engram_eval.judges.probe.adversarial import AdversarialAnswers, context_of
from engram_eval.judges.verdict_file import GradedAnswer, RecordedVerdict
from engram_eval.language.words import words
from engram_eval.metrics.intervals import bootstrap_proportion, wilson
from engram_eval.metrics.kappa import bootstrap_kappa, cohen_kappa
from engram_eval.types import Verdict


def pair_verdicts(recorded: Sequence[RecordedVerdict], verdicts: Sequence[Verdict | Exception]) -> list[GradedAnswer]:
    """Each recorded verdict with the judge's verdict on the same answer, or with the error of the failed call."""
    return [
        GradedAnswer(answer, None, f"{type(verdict).__name__}: {verdict}")
        if isinstance(verdict, Exception)
        else GradedAnswer(answer, verdict, None)
        for answer, verdict in zip(recorded, verdicts, strict=True)
    ]


def matching_systems(recorded: Sequence[RecordedVerdict], patterns: Sequence[str]) -> frozenset[str]:
    """The systems that match a pattern of --wrong (`adversarial*`). Raises UserError if a pattern matches none."""
    systems = sorted({answer.system for answer in recorded})
    for pattern in patterns:
        if not any(fnmatchcase(system, pattern) for system in systems):
            known = ", ".join(repr(system) for system in systems if system) or "not named in this file"
            raise UserError(f"--wrong {pattern!r}: names no system; the systems are {known}")
    return frozenset(system for system in systems if any(fnmatchcase(system, pattern) for pattern in patterns))


def adversarial_answers(recorded: Sequence[RecordedVerdict]) -> list[RecordedVerdict]:
    """One answer of each adversarial form to each question of the file that has a gold. All of them are wrong.

    `system` is the form. The answers are made from the questions and golds alone.
    """
    benchmarks = {answer.question.id: answer.benchmark for answer in recorded}
    questions = list({answer.question.id: answer.question for answer in recorded}.values())
    maker = AdversarialAnswers(questions)
    return [
        RecordedVerdict(made.question, made.answer, False, made.form, benchmarks[question.id])
        for question in questions
        if not question.unanswerable and words(question.gold)
        for made in maker.one_of_each(question, context=context_of(question, questions))
    ]


@dataclass(frozen=True, slots=True)
class Proportion:
    """`count` of `n`, with the rate and its 95 % interval from 0 to 1; both are None if `n` is 0."""

    count: int
    n: int
    ci: tuple[float, float] | None

    @property
    def rate(self) -> float | None:
        return self.count / self.n if self.n else None

    @classmethod
    def with_wilson_interval(cls, count: int, n: int) -> Proportion:
        return cls(count, n, wilson(count, n) if n else None)


@dataclass(frozen=True, slots=True)
class Agreement:
    """A judge compared with recorded verdicts on the same answers. Rates are from 0 to 1; an undefined `kappa` is None."""

    n: int
    errors: int
    recorded: float | None
    """The rate of answers that the recorded judge accepts."""
    judged: float | None
    """The rate of answers that this judge accepts."""
    same: Proportion
    kappa: float | None
    kappa_ci: tuple[float, float] | None
    false_accepts: Proportion
    false_rejects: Proportion


def agreement(answers: Sequence[GradedAnswer], *, seed: int = 0) -> Agreement:
    """Over all answers that were graded; errors are only counted. The bootstrap resamples whole conversations."""
    pairs = [(a.recorded.correct, a.verdict.correct, a.recorded.question.conversation_id) for a in answers if a.verdict]
    return agreement_of(pairs, errors=len(answers) - len(pairs), seed=seed)


def agreement_of(pairs: Sequence[tuple[bool, bool, str]], *, errors: int, seed: int = 0) -> Agreement:
    """Of two judges: for each answer that both graded, the verdict of each and the answer's conversation."""
    recorded, judged = [before for before, _, _ in pairs], [now for _, now, _ in pairs]
    clusters = [conversation for _, _, conversation in pairs]
    same = [before == now for before, now, _ in pairs]
    n, accepted = len(pairs), sum(recorded)
    false_accepts = sum(now and not before for before, now, _ in pairs)
    false_rejects = sum(before and not now for before, now, _ in pairs)
    return Agreement(
        n=n,
        errors=errors,
        recorded=accepted / n if n else None,
        judged=sum(judged) / n if n else None,
        same=Proportion(sum(same), n, bootstrap_proportion(same, clusters, seed=seed) if n else None),
        kappa=cohen_kappa(recorded, judged),
        kappa_ci=bootstrap_kappa(recorded, judged, clusters, seed=seed) if n else None,
        false_accepts=Proportion.with_wilson_interval(false_accepts, n - accepted),
        false_rejects=Proportion.with_wilson_interval(false_rejects, accepted),
    )


@dataclass(frozen=True, slots=True)
class WrongAnswersAccepted:
    """How many of the answers that are all wrong this judge and the recorded judge accept: the fewer, the better."""

    errors: int
    judged: Proportion
    recorded: Proportion


def wrong_answers_accepted(answers: Sequence[GradedAnswer], *, seed: int = 0) -> WrongAnswersAccepted:
    """Over all answers that were graded; every one of them must be wrong."""
    pairs = [(a.recorded.correct, a.verdict.correct, a.recorded.question) for a in answers if a.verdict]
    clusters = [question.conversation_id for _, _, question in pairs]

    def proportion(accepted: list[bool]) -> Proportion:
        ci = bootstrap_proportion(accepted, clusters, seed=seed) if accepted else None
        return Proportion(sum(accepted), len(accepted), ci)

    return WrongAnswersAccepted(
        errors=len(answers) - len(pairs),
        judged=proportion([now for _, now, _ in pairs]),
        recorded=proportion([before for before, _, _ in pairs]),
    )
