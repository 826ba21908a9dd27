"""The router: which of the three memories a turn belongs to (arXiv 2511.12960, section 3).

By rules, with no model: deterministic and free. The patterns are closed classes of English (pronouns, auxiliaries,
time words, connectives of instruction), not topics, so that they hold for any conversation.
"""

from __future__ import annotations

import re
from enum import StrEnum

from engram_eval.backends.speakers import PAST
from engram_eval.language.words import normalize


class MemoryType(StrEnum):
    """In the order in which a context shows them."""

    EPISODIC = "episodic"
    SEMANTIC = "semantic"
    PROCEDURAL = "procedural"


_SUBJECT = r"(?:i|we|he|she|they|it|(?:my|our|his|her|their|the)\s+\w+)"

# Something happened: a subject with a past form.
_EVENT = re.compile(rf"\b{_SUBJECT}\s+(?:\w+ly\s+|just\s+|also\s+|even\s+|once\s+)?{PAST}\b")
# Something holds: a subject with a present form of being, having or liking; or a word of preference.
_STATE = re.compile(
    rf"\b{_SUBJECT}(?:'s|'m|'re|'ve|\s+(?:am|is|are|have|has|love|like|enjoy|prefer|hate|want|need|work|live|own|study|"
    r"play|know|believe|use|loves|likes|enjoys|prefers|hates|wants|needs|works|lives|owns|studies|plays|knows))\b"
    r"|\bfavou?rite\b|\[image:"
)
# How something is done, done regularly, or is going to be done.
_PROCEDURE = re.compile(
    r"\b(?:how to|make sure|you (?:should|can|could|need to|have to|might want to)|steps?|recipe|tips?|routine|usually|always|"
    r"every (?:day|week|month|year|morning|evening|night|weekend)|plan(?:s|ning)? (?:to|on|for)|going to|gonna|i'll|we'll)\b"
    r"|^\s*(?:\d+[.)]|[-*•])\s",
    re.MULTILINE,
)


def route(text: str, *, dated: bool) -> frozenset[MemoryType]:
    """The mask of one turn as a set; `dated` says that the turn names a time.

    A turn in which nothing fires is kept as semantic: a memory must not lose turns.
    """
    lowered = normalize(text)
    types = set()
    if dated or _EVENT.search(lowered):
        types.add(MemoryType.EPISODIC)
    if _STATE.search(lowered):
        types.add(MemoryType.SEMANTIC)
    if _PROCEDURE.search(lowered):
        types.add(MemoryType.PROCEDURAL)
    return frozenset(types or {MemoryType.SEMANTIC})
