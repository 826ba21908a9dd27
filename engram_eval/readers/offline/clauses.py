"""Shortens a sentence to the words that answer."""

from __future__ import annotations

import re
from collections.abc import Iterable

from engram_eval.language.words import STOPWORDS, count_words, first_words

_INTERJECTION = (
    r"(?:yeah|yep|yup|yes|no|nope|nah|thanks|thank you|thx|wow|hey|hi|hello|oh|well|so|and|but|or|haha|lol|aw+|definitely|"
    r"absolutely|sure thing|sure|totally|exactly|btw|by the way|honestly|actually|also|plus|anyway|okay|ok|right|of course|"
    r"cool|great|nice|awesome|unfortunately|congrats)"
)
# "Thanks, Ann!", "Well, by the way, ...": an opening without information, with the name of the listener.
_OPENING = re.compile(
    rf"^(?:{_INTERJECTION}\b(?:\s+so much|\s+a lot)?(?:,?\s+(?-i:[A-Z][a-z]+)(?=[,!.]))?(?:\s*[,!.…–—-]+\s*|\s+(?=[a-z])))+",
    re.IGNORECASE,
)


def without_opening(sentence: str) -> str:
    """The sentence without interjections at its beginning."""
    return _OPENING.sub("", sentence)


def clause(sentence: str, speakers: Iterable[str], limit: int) -> str:
    """The sentence in at most `limit` words, without its opening, the listener's name and stop words at the cut.

    (Choosing the clauses with the rarest words instead did not give better answers.)
    """
    text = without_opening(sentence)
    for name in speakers:
        text = re.sub(rf"^{re.escape(name)}[,!]\s+|,\s+{re.escape(name)}(?=[.!?,]|$)", "", text)
    whole = text.strip() or sentence
    cut = first_words(whole, limit)
    while count_words(whole) > limit and len(cut) > 1 and cut[-1].lower() in STOPWORDS:
        cut.pop()
    return " ".join(cut).strip(" ,;:–—-")
