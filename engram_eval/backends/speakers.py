"""Which of a conversation's speakers a question is about."""

from __future__ import annotations

import re
from collections.abc import Collection

from engram_eval.language.words import normalize, words

PAST_TENSE = (
    r"(?:\w{3,}ed|was|were|went|got|had|made|took|came|saw|met|gave|found|told|said|left|felt|brought|began|kept|held|wrote|"
    r"stood|heard|let|meant|set|paid|sat|spoke|ran|won|lost|bought|built|spent|grew|sent|fell|thought|taught|caught|broke|"
    r"chose|drove|flew|ate|swam|sang|rode|read|led|did)"
)
"""A pattern for past-tense verbs after a subject: regular ones, and the most frequent irregular ones of English."""

_ABOUT_USER = re.compile(r"\b(?:i|me|my|mine)\b")
# "Can you suggest ..." is a request; "what you suggested" is about what the assistant said.
_ABOUT_ASSISTANT = re.compile(
    rf"\b(?:did|had|have|were) you\b|\byou(?:'ve|'d| have| had)? (?:\w+ly )?{PAST_TENSE}\b|\byour\b"
)


def name_words(speakers: Collection[str]) -> frozenset[str]:
    """The words of all speakers' names."""
    return frozenset(word for name in speakers for word in words(name))


def mentioned_speakers(query: str, speakers: Collection[str]) -> list[str]:
    """The speakers with a word of their name in the question.

    If the speakers are the roles `user` and `assistant`, "I" and "my" mean the user, "you said" and "your" the assistant.
    """
    if set(speakers) <= {"user", "assistant"}:
        text = normalize(query)
        return [role for role in speakers if (_ABOUT_USER if role == "user" else _ABOUT_ASSISTANT).search(text)]
    query_words = set(words(query))
    return [name for name in speakers if query_words.intersection(words(name))]
