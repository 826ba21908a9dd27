"""What a reader is. The registry lists the readers."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from engram_eval.types import Answer, Context


class Reader(Protocol):
    """Answers from the context alone. It gets neither the gold answer nor the category, so it cannot be tuned to them."""

    name: str
    model: str
    window: int
    """The longest context that fits the model, in tokens of its own encoding."""

    async def answer(self, question: str, *, asked_at: datetime | None, context: Context) -> Answer: ...
