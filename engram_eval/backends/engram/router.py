"""The router: which of the three typed memories a turn belongs to (arXiv 2511.12960, section 3).

It uses rules and no model, so it is deterministic and free. The patterns are closed classes of English (pronouns,
auxiliaries, time words, words of instruction) rather than topics, so that they apply to any conversation.
"""

from __future__ import annotations

import re
from enum import StrEnum

from engram_eval.backends.speakers import PAST_TENSE
from engram_eval.language.words import normalize


class MemoryType(StrEnum):
    """In the order in which a context shows them."""

    EPISODIC = "episodic"
    SEMANTIC = "semantic"
    PROCEDURAL = "procedural"


_SUBJECT = r"(?:i|we|he|she|they|it|(?:my|our|his|her|their|the)\s+\w+)"

# Something happened: a subject with a past tense.
_EVENT = re.compile(rf"\b{_SUBJECT}\s+(?:\w+ly\s+|just\s+|also\s+|even\s+|once\s+)?{PAST_TENSE}\b")
# Something is the case: a subject with a present tense of being, having or liking; or a word of preference; or an image.
_STATE = re.compile(
    rf"\b{_SUBJECT}(?:'s|'m|'re|'ve|\s+(?:am|is|are|have|has|love|like|enjoy|prefer|hate|want|need|work|live|own|study|"
    r"play|know|believe|use|loves|likes|enjoys|prefers|hates|wants|needs|works|lives|owns|studies|plays|knows))\b"
    r"|\bfavou?rite\b|\[image:"
)
# How something is done, what is done regularly, or what is planned.
_PROCEDURE = re.compile(
    r"\b(?:how to|make sure|you (?:should|can|could|need to|have to|might want to)|steps?|recipe|tips?|routine|usually|always|"
    r"every (?:day|week|month|year|morning|evening|night|weekend)|plan(?:s|ning)? (?:to|on|for)|going to|gonna|i'll|we'll)\b"
    r"|^\s*(?:\d+[.)]|[-*•])\s",
    re.MULTILINE,
)


def route(text: str, *, dated: bool) -> frozenset[MemoryType]:
    """The types that a turn belongs to, at least one. `dated`: whether the turn names a time.

    A turn that matches no pattern is semantic, because the memory must not lose turns.
    """
    return matching_types(text, dated=dated) or frozenset({MemoryType.SEMANTIC})


def matching_types(text: str, *, dated: bool) -> frozenset[MemoryType]:
    """The types whose patterns a turn matches; none for most small talk."""
    lowered = normalize(text)
    types = set()
    if dated or _EVENT.search(lowered):
        types.add(MemoryType.EPISODIC)
    if _STATE.search(lowered):
        types.add(MemoryType.SEMANTIC)
    if _PROCEDURE.search(lowered):
        types.add(MemoryType.PROCEDURAL)
    return frozenset(types)
