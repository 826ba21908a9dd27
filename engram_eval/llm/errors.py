"""The errors of a call."""

from __future__ import annotations

from engram_eval.errors import UserError


class LLMError(Exception):
    """This call has no usable answer. It is recorded for its question, and the run goes on. `raw`: the model's text."""

    def __init__(self, message: str, raw: str | None = None) -> None:
        super().__init__(message)
        self.raw = raw


class Refused(LLMError):  # noqa: N818
    """This request can never be answered: it is too long for the model, or refused for its content."""


class OverBudget(UserError):  # noqa: N818 - a reason to stop, not an error
    """The next call could cost more than is left of --max-cost, and was not sent."""


class CacheMiss(UserError):  # noqa: N818
    """A replay needs an answer that the response cache does not have."""
