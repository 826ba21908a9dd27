"""Makes text that a dataset or a model wrote safe to show: no markup takes effect, and no character is hidden."""

from __future__ import annotations

from collections.abc import Iterable

from engram_eval.tables.text import visible

LONGEST = 20_000
"""The characters of one text that the page keeps."""


def cut(text: str) -> str:
    """At most `LONGEST` characters, then a note on how many are missing."""
    missing = len(text) - LONGEST
    return text if missing <= 0 else f"{text[:LONGEST]}… [{missing:,} more characters are not shown here]"


def short(text: str, length: int) -> str:
    """One line of at most `length` characters."""
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length and len(text) <= 4 * length else line[: length - 1] + "…"


def label(text: str, length: int) -> str:
    """A name that somebody else chose, as one short line that is safe to show."""
    return short(visible(text), length)


class TextPool:
    """Texts by number, each kept once and safe to show."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def add(self, text: str) -> int:
        """The text's number."""
        number = self._numbers.get(text)
        if number is None:
            shown = cut(visible(text))
            number = self._numbers.setdefault(shown, len(self.texts))
            if number == len(self.texts):
                self.texts.append(shown)
            self._numbers[text] = number
        return number


def distinct_labels(names: Iterable[str], length: int = 26) -> list[str]:
    """Labels short enough for a chart, no two alike."""
    labels: list[str] = []
    for name in names:
        shown = label(name, length) or "(no name)"
        labels.append(shown if shown not in labels else f"{short(shown, length - 6)} #{len(labels) + 1}")
    return labels
