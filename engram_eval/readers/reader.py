"""What a reader is. The registry lists the readers."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from engram_eval.types import Answer, Context


class Reader(Protocol):
    """Answers from the context alone. It gets neither the gold answer nor the category, so it cannot be tuned to them.

    A run makes its reader with `MyReader(services)`, where `services` are `RoleServices`: a model whose calls are cached and
    budgeted, an embedder, the token counter, the benchmark. Further parameters with a type and a default are its settings:
    `--set NAME.KEY=VALUE`. A reader that calls `services.llm` sets the class attribute `asks_model = True`.
    """

    name: str
    model: str
    window: int
    """The longest context that fits the model, in tokens of its own encoding."""

    async def answer(self, question: str, *, asked_at: datetime | None, context: Context) -> Answer: ...
