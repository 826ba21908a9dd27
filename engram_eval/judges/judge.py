"""What a judge is. The registry lists the judges."""

from __future__ import annotations

from typing import Protocol

from engram_eval.types import Question, Verdict


class Judge(Protocol):
    """Decides whether an answer to a question is right, given the question's gold answer."""

    name: str
    agreement: str
    """How well this judge agrees with recorded verdicts, printed beside its scores; empty for the reference judge."""

    async def judge(self, question: Question, answer: str) -> Verdict: ...
