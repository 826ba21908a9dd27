"""Text as a person may safely see it."""

from __future__ import annotations

import re


def plural(count: int, noun: str) -> str:
    """`1 question`, `1,540 questions`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


# Control characters, halves of surrogate pairs, bidi embeddings, overrides and isolates, separators, zero-width spaces,
# non-characters and tag characters: they change how text around them reads, or hide in it. A line feed and a tab may
# stay, and so may joiners and direction marks, which scripts need.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060\u2066-\u2069\ufdd0-\ufdef\ufeff\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """The text with a mark such as ⟨U+202E⟩ in place of each character that acts unseen. It can always be encoded."""
    return _HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text.replace("\r\n", "\n"))
