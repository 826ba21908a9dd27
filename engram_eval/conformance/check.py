"""What a check is, and what comes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from engram_eval.conformance.trial import Trial

Result = Literal["holds", "FAILS", "not applicable"]


@dataclass(frozen=True, slots=True)
class Check:
    """`sentence`: what is true of a memory for which the check holds.

    `function` returns nothing, raises `Failed` with what was seen and what to change, or `NotApplicable` with the reason.
    `processes`: in how many processes, one after the other, the check is made.
    """

    name: str
    sentence: str
    function: Callable[[Trial], Awaitable[None]]
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """`text`: the check's sentence if it holds, else what was seen, or why the check does not apply."""

    name: str
    result: Result
    text: str
