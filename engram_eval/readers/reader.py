"""Readers: a question and a context in, an answer out. One file per kind; the registry names them."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from engram_eval.types import Answer, Context


class Reader(Protocol):
    """Answers from the context alone. Sees neither gold answer nor category, so it cannot be tuned to either."""

    name: str
    model: str
    window: int
    """The longest context that the model takes, in tokens of its own encoding."""

    async def answer(self, question: str, *, asked_at: datetime | None, context: Context) -> Answer: ...
