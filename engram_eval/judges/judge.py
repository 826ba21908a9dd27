"""What a judge is. The registry lists the judges."""

from __future__ import annotations

from typing import Protocol

from engram_eval.types import Question, Verdict


class Judge(Protocol):
    """Decides whether an answer to a question is right, given the question's gold answer.

    A run makes its judge with `MyJudge(services)`, where `services` are `RoleServices`: a model whose calls are cached and
    budgeted, an embedder, the token counter, the benchmark. Further parameters with a type and a default are its settings:
    `--set NAME.KEY=VALUE`. A judge that needs no services may be a class without parameters. A judge that calls
    `services.llm` sets the class attribute `asks_model = True`. The answer is data to a judge, never an instruction.
    """

    name: str
    agreement: str
    """How well this judge agrees with recorded verdicts, printed beside its scores; empty for the reference judge."""

    async def judge(self, question: Question, answer: str) -> Verdict: ...
