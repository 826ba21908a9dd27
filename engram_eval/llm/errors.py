"""How a call can fail."""

from __future__ import annotations

from engram_eval.errors import UserError


class LLMError(Exception):
    """This call has no usable answer: recorded for its question, no reason to stop. `raw`: what the model did say."""

    def __init__(self, message: str, raw: str | None = None) -> None:
        super().__init__(message)
        self.raw = raw


class Refused(LLMError):  # noqa: N818
    """This request will never be answered: it is too long for the model, or refused for its content."""


class OverBudget(UserError):  # noqa: N818 - a reason to stop, not a fault
    """The next call could cost more than is left of --max-cost. It was not sent."""


class CacheMiss(UserError):  # noqa: N818
    """A replay came to a call that the response cache does not hold."""
