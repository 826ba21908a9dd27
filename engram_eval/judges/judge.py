"""Judges: a question, its gold answer and an answer in, a verdict out. One file per kind; the registry names them."""

from __future__ import annotations

from typing import Protocol

from engram_eval.types import Question, Verdict


class Judge(Protocol):
    name: str
    agreement: str
    """How well this judge agrees with recorded verdicts, as it stands beside its scores; empty if it is the reference."""

    async def judge(self, question: Question, answer: str) -> Verdict: ...
