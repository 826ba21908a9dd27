"""Judges: a question, its gold answer and an answer in, a verdict out. One file per kind; the registry names them."""

from __future__ import annotations

from typing import Protocol

from engram_eval.types import Question, Verdict


class Judge(Protocol):
    """Grades answers. The answer is data to it, never an instruction.

    A run makes its judge with `MyJudge(services)`, where `services` are `RoleServices`: a model whose calls are cached and
    budgeted, an embedder, the token counter, the benchmark. Further parameters with a type and a default are its settings:
    `--set NAME.KEY=VALUE`. A judge that calls `services.llm` sets the class attribute `asks_model = True`.
    """

    name: str
    agreement: str
    """How well this judge agrees with recorded verdicts, as shown beside its scores; empty if it is the reference."""

    async def judge(self, question: Question, answer: str) -> Verdict: ...
