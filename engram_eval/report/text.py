"""What a dataset or a model wrote, made fit to be seen: nothing in it acts, and nothing in it hides."""

from __future__ import annotations

from engram_eval.tables.text import visible

LONGEST = 20_000  # characters of one text that the page keeps


def cut(text: str) -> str:
    """At most `LONGEST` characters; what is missing is said."""
    missing = len(text) - LONGEST
    return text if missing <= 0 else f"{text[:LONGEST]}… [{missing:,} more characters are not shown here]"


def short(text: str, length: int) -> str:
    """One line of at most `length` characters."""
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length and len(text) <= 4 * length else line[: length - 1] + "…"


class Pool:
    """Texts by number, each once, fit to be seen."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def add(self, text: str) -> int:
        number = self._numbers.get(text)
        if number is None:
            shown = cut(visible(text))
            number = self._numbers.setdefault(shown, len(self.texts))
            if number == len(self.texts):
                self.texts.append(shown)
            self._numbers[text] = number
        return number
