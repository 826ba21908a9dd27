"""The judge probe on disk: each answer that was put to the judge, and how often the judge erred."""

from __future__ import annotations

from typing import Literal

from engram_eval.results.stored import Interval, Stored, Text

ProbeKind = Literal["paraphrase", "vague", "corrupted", "adversarial"]

TOO_MANY_ACCEPTED = 0.2
"""The share of wrong answers in the probe; above it, scores mean nothing. Judges that are quoted accept less than a tenth."""


class ProbeResult(Stored):
    """A line of `probe.jsonl`. `correct`: the judge's verdict, None if the call ended in `error`; `expected`: the right one."""

    question_id: Text
    kind: ProbeKind
    question: Text
    gold: Text
    answer: Text
    expected: bool
    correct: bool | None
    reason: Text | None
    error: Text | None


class ErrorRate(Stored):
    """`count` wrong verdicts among `n`. `rate` = count / n; `ci`: its Wilson 95 % interval; all None if n is 0."""

    n: int
    count: int
    rate: float | None
    ci: Interval | tuple[None, None]


class ErrorRatesByKind(Stored):
    paraphrase: ErrorRate
    vague: ErrorRate
    corrupted: ErrorRate
    adversarial: ErrorRate


class ProbeSummary(Stored):
    """How often the judge erred. Of `n` calls, `errors` failed and are in no rate. `note`: the figures in one sentence."""

    n: int
    errors: int
    false_accept: ErrorRate
    false_reject: ErrorRate
    by_kind: ErrorRatesByKind
    note: Text

    @property
    def accepts_too_much(self) -> bool:
        """Whether the judge accepts so many wrong answers that its scores mean nothing."""
        return self.false_accept.rate is not None and self.false_accept.rate > TOO_MANY_ACCEPTED
