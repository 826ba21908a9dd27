"""Is the sentence around a date about the past or about the future?"""

from __future__ import annotations

import re

_FUTURE = re.compile(
    r"\b(?:will|shall|going\s+to|gonna|upcoming|plan|plans|planning|planned|can't\s+wait|looking\s+forward|scheduled)\b|'ll\b"
)
# Present forms mean the future unless the sentence has a past form: "I'm seeing her", "the game is", "I have a test".
_PRESENT = re.compile(
    r"(?:'m|'re|\bam|\bare)\s+(?:\w+ly\s+)?\w+ing\b|(?:\bis|\bare|'s)\s*$|\bhave\s+(?:a|an|my|our|another)\b"
)
_PAST = re.compile(
    r"\b(?:\w{2,}ed|was|were|did|had|got|made|took|went|came|ran|read|wrote|won|lost|built|grew|sold|learnt|saw|been)\b"
)


class Sentence:
    """The sentence around a match, and its tense."""

    def __init__(self, text: str, match: re.Match[str]) -> None:
        self._before = re.split(r"[.!?;\n]", text[max(0, match.start() - 120) : match.start()])[-1]
        self._after = re.split(r"[.!?;\n]", text[match.end() : match.end() + 40])[0]

    def is_future(self) -> bool:
        if _FUTURE.search(self._before):
            return True
        phrase_opens = len(self._before.split()) <= 2 and not _PAST.search(self._before)
        if phrase_opens and _FUTURE.search(self._after):
            return True
        clause = self._before + " " + self._after if phrase_opens else self._before
        return bool(_PRESENT.search(clause) and not _PAST.search(clause))

    def is_past(self) -> bool:
        return bool(_PAST.search(self._before)) and not self.is_future()
