"""The contexts that the page shows: lists of lines, each different line once, with the evidence marked.

A memory recalls the same turns for question after question, and a whole history is the context of every question about
it; line by line, six thousand contexts come to little more than the conversations themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from engram_eval.language.words import content_stems
from engram_eval.report.text import Pool
from engram_eval.results.record import Record

ContextOf = Callable[[Record], str | None]
"""The context of a record as it was sent; None where it was not kept."""

NONE, NO_ROOM = -1, -2
_ROOM = 12_000_000  # characters of different lines: some 4 MB of the file
_SHARE = 0.8  # of a turn's content words stand in a line that holds it (DESIGN, section 5)
_FEW = 4  # content words: a turn of fewer is found only where the line is the very same


class ContextLines:
    def __init__(self, context: ContextOf | None) -> None:
        self._context = context
        self._lines = Pool()
        self._contexts: list[tuple[int, ...]] = []
        self._numbers: dict[tuple[int, ...], int] = {}
        self._size = 0
        self._evidence: dict[int, set[int]] = {}

    def add(self, record: Record, question: int, *, shows_evidence: bool) -> int:
        """The number of the record's context, or NONE, or NO_ROOM. `shows_evidence`: it is the evidence and no more."""
        text = self._context(record) if self._context else None
        if text is None:
            return NONE
        if self._size > _ROOM:
            return NO_ROOM
        before = len(self._lines.texts)
        lines = tuple(self._lines.add(line) for line in text.split("\n"))
        self._size += sum(map(len, self._lines.texts[before:]))
        if shows_evidence:
            # Dates and headings stand around the turns; they are no evidence.
            turns = (n for n in lines if not self._lines.texts[n].startswith(("[", "#")) and self._lines.texts[n])
            self._evidence.setdefault(question, set()).update(turns)
        if lines not in self._numbers:
            self._numbers[lines] = len(self._contexts)
            self._contexts.append(lines)
        return self._numbers[lines]

    def columns(self) -> dict[str, Any]:
        """All lines, and by context the numbers of its lines."""
        return {"lines": self._lines.texts, "contexts": self._contexts}

    def marked(self, question: int, contexts: Iterable[int]) -> list[int]:
        """The lines of the contexts that hold the question's evidence, as a control that is shown it tells."""
        turns = self._evidence.get(question)
        if not turns:
            return []
        texts = self._lines.texts
        stems = [of_turn for n in turns if len(of_turn := _stems(texts[n])) >= _FEW]
        present = {n for context in contexts if context >= 0 for n in self._contexts[context]}
        return sorted(n for n in present if n in turns or any(_holds(_stems(texts[n]), turn) for turn in stems))


def _holds(line: frozenset[str], turn: frozenset[str]) -> bool:
    return len(line & turn) >= _SHARE * len(turn)


@lru_cache(maxsize=100_000)
def _stems(line: str) -> frozenset[str]:
    return frozenset(content_stems(line))
