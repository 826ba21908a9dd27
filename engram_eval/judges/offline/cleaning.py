"""Cleaning a question, a gold or an answer before it is parsed."""

from __future__ import annotations

import difflib
import re
import unicodedata
from functools import lru_cache

MAX_CHARACTERS = 4_000  # of an answer, ten times the length of a wordy one; the rest is not read

# People type golds by hand: "22August, 2022", "April.2023", "2` April", "21Febuary".
_GLUED = re.compile(r"(?<=\d)(?=[A-Z][a-z]{2})|(?<=[a-z]{3})\.(?=\d)|(?<=\d)`")
_INVISIBLE = re.compile(r"[^\S\n]|[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_MONTHS = ("January", "February", "March", "April", "June", "July", "August", "September", "October", "November",
           "December")  # fmt: skip
_BESIDE_A_NUMBER = re.compile(r"(?<=\d )[A-Z][a-z]{3,10}\b|\b[A-Z][a-z]{3,10}(?=,? \d)")
_MONTH_SIMILARITY = (
    0.85  # difflib's ratio: accepts one letter too few or too many, rejects other words ("Match", "Jane")
)
# "Last week before 9 June" and "Last Saturday before 9 June" mean "the week before 9 June", "the Saturday before 9 June".
_LAST_BEFORE = re.compile(
    r"\b(?:last|previous|past)\s+(?=(?:week|weekend|month|year|(?:mon|tues|wednes|thurs|fri|satur|sun)day)"
    r"\s+(?:before|prior\s+to)\b)",
    re.IGNORECASE,
)


def clean(text: str) -> str:
    """One form for each character, a space between words and dates, months spelled correctly. Keeps MAX_CHARACTERS."""
    text = _INVISIBLE.sub(" ", unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]))
    text = _BESIDE_A_NUMBER.sub(lambda match: _correct_month(match[0]), _GLUED.sub(" ", text))
    return _LAST_BEFORE.sub("the ", text)


@lru_cache(maxsize=1_000)
def _correct_month(word: str) -> str:
    return next(iter(difflib.get_close_matches(word, _MONTHS, 1, _MONTH_SIMILARITY)), word)
