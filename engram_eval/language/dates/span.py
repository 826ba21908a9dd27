"""A date found in a text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class DateSpan:
    """A phrase and the days it means, `start` to `end`, both included.

    `text` is the part of the searched text at `position` (start and end index). `relative`: the days depend on the day on
    which the text was said.
    """

    start: date
    end: date
    text: str
    position: tuple[int, int]
    relative: bool
