"""The contexts that the page shows: lists of lines, each distinct line once, with the evidence marked.

A memory retrieves the same turns for many questions, and the full history is the context of every question about it. Kept
line by line, six thousand contexts take little more space than the conversations themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from engram_eval.language.words import content_stems
from engram_eval.report.text import TextPool

NOT_KEPT, LEFT_OUT = -1, -2
"""In place of a context's number: the run did not keep it, or the page has no room for it. page.js reads these."""

_ROOM = 12_000_000  # characters of distinct lines: about 4 MB of the page
_VERBATIM_SHARE = 0.8  # of a turn's content stems are in a line that contains it (DESIGN, section 5)
_FEWEST_STEMS = 4  # a turn with fewer content stems is marked only where the line is identical


class ContextLines:
    """Contexts by number. `lines` are the distinct lines, `contexts` the numbers of each context's lines."""

    def __init__(self) -> None:
        self._lines = TextPool()
        self.contexts: list[tuple[int, ...]] = []
        self._numbers: dict[tuple[int, ...], int] = {}
        self._size = 0
        self._evidence_lines: dict[int, set[int]] = {}

    @property
    def lines(self) -> list[str]:
        return self._lines.texts

    def add(self, context: str | None, question: int, *, is_evidence: bool) -> int:
        """The context's number, or NOT_KEPT or LEFT_OUT. `is_evidence`: it consists of the question's evidence only."""
        if context is None:
            return NOT_KEPT
        if self._size > _ROOM:
            return LEFT_OUT
        known = len(self.lines)
        numbers = tuple(self._lines.add(line) for line in context.split("\n"))
        self._size += sum(map(len, self.lines[known:]))
        if is_evidence:
            # Dates and headings are around the turns; they are not evidence.
            turns = (n for n in numbers if not self.lines[n].startswith(("[", "#")) and self.lines[n])
            self._evidence_lines.setdefault(question, set()).update(turns)
        if numbers not in self._numbers:
            self._numbers[numbers] = len(self.contexts)
            self.contexts.append(numbers)
        return self._numbers[numbers]

    def marked(self, question: int, contexts: Iterable[int]) -> list[int]:
        """The lines of these contexts that contain the question's evidence; none without a backend that sees evidence."""
        evidence = self._evidence_lines.get(question)
        if not evidence:
            return []
        turns = [stems for n in evidence if len(stems := _stems(self.lines[n])) >= _FEWEST_STEMS]
        present = {n for context in contexts if context >= 0 for n in self.contexts[context]}
        return sorted(
            n for n in present if n in evidence or any(_contains(_stems(self.lines[n]), turn) for turn in turns)
        )


def _contains(line: frozenset[str], turn: frozenset[str]) -> bool:
    return len(line & turn) >= _VERBATIM_SHARE * len(turn)


@lru_cache(maxsize=100_000)
def _stems(line: str) -> frozenset[str]:
    return frozenset(content_stems(line))
