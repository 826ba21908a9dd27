"""Text that is safe to show, and plurals."""

from __future__ import annotations

import re


def plural(count: int, noun: str) -> str:
    """`1 question`, `1,540 questions`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


# Control characters, halves of surrogate pairs, bidi embeddings, overrides and isolates, separators, zero-width spaces,
# non-characters and tag characters: they change how the text around them is shown, or hide in it. Line feeds and tabs are
# kept, and so are joiners and direction marks, which some scripts need.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060\u2066-\u2069\ufdd0-\ufdef\ufeff\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """The text with each hidden character replaced by a mark such as ⟨U+202E⟩. The result can always be encoded."""
    return _HIDDEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text.replace("\r\n", "\n"))
