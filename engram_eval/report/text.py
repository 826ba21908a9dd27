"""What a dataset or a model wrote, made fit to be seen: nothing in it acts, and nothing in it hides."""

from __future__ import annotations

import re

# Control characters, halves of surrogate pairs, bidi embeddings, overrides and isolates, separators, zero-width spaces,
# non-characters and tag characters: they change how text around them reads, or hide in it. A line feed and a tab may
# stay, and so may joiners and direction marks, which scripts need.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060\u2066-\u2069\ufdd0-\ufdef\ufeff\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
LONGEST = 20_000  # characters of one text that the page keeps


def visible(text: str) -> str:
    """The text with a mark such as ⟨U+202E⟩ in place of each character that acts unseen. It can always be encoded."""
    return _HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text.replace("\r\n", "\n"))


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
