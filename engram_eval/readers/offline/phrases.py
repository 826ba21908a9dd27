"""The phrases of a sentence that can answer one kind of question: dates, durations, numbers, people, places, names."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date
from functools import lru_cache

from engram_eval.language.dates import DateSpan, find_dates
from engram_eval.language.words import STOPWORDS, words
from engram_eval.readers.offline.base_stems import base_stem, base_stems
from engram_eval.readers.offline.clauses import without_opening

_RESOLVED = re.compile(r"\(=\s*([^)]*)\)")


@lru_cache(maxsize=20_000)
def dates_in(sentence: str, said_on: date | None) -> tuple[DateSpan, ...]:
    """The sentence's dates. A date that a memory has resolved, `yesterday (= 7 May 2023)`, replaces the phrase."""
    resolved = [span for match in _RESOLVED.finditer(sentence) for span in find_dates(match[1], said_on=None)]
    return tuple(resolved or find_dates(sentence, said_on=said_on))


_AMOUNT = (
    r"(?:\d+(?:\.\d+)?|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|"
    r"(?:a )?(?:few|couple(?: of)?)|several|many)"
)
_LASTED = re.compile(
    rf"\b(?:for|been|had|now)\b[^.!?]{{0,40}}?\b({_AMOUNT})\s+(day|week|month|year)s?\b|"
    rf"^\W*(?:about |almost |nearly )?({_AMOUNT})\s+(day|week|month|year)s? now\b",
    re.IGNORECASE,
)


def beginnings(sentence: str, said_on: date | None) -> tuple[DateSpan, ...]:
    """When something began: `I've had it for three years` means three years ago."""
    lasted = _LASTED.search(sentence)
    if not lasted:
        return ()
    amount, unit = lasted[1] or lasted[3], lasted[2] or lasted[4]
    return tuple(find_dates(f"{amount} {unit}s ago", said_on=said_on))


_DURATION = re.compile(
    rf"\b(?:(?:about|around|over|nearly|almost|just under|more than|less than) )?{_AMOUNT}(?: and a half)?[ -]"
    r"(?:second|minute|hour|day|week|month|year|decade)s?(?: and a half)?(?: (?:old|ago|now))?\b"
    r"|\bsince (?:\d{4}|[A-Z]\w+(?: \d{4})?)\b",
    re.IGNORECASE,
)
_FREQUENCY = re.compile(
    r"\b(?:(?:at least|about|around|almost|nearly) )?"
    r"(?:(?:once|twice|(?:\w+|\d+) times)(?: or (?:twice|\w+ times))? (?:a|per|every|each) (?:day|week|month|year|weekend)"
    r"|(?:every|each) (?:\w+ )?(?:day|morning|evening|night|week|weekend|month|year|(?:mon|tues|wednes|thurs|fri|satur|sun)day|"
    r"summer|winter)s?|daily|weekly|monthly|yearly|annually|once or twice)\b",
    re.IGNORECASE,
)


def durations(sentence: str) -> list[str]:
    return [match[0] for match in _DURATION.finditer(sentence)]


def frequencies(sentence: str) -> list[str]:
    return [match[0] for match in _FREQUENCY.finditer(sentence)]


_NUMBER = re.compile(
    r"(?:[$€£]?\d+(?:[.,]\d+)*(?:%|k\b|\b)|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|"
    r"forty|fifty|hundred|thousand|dozen|once|twice|both|couple of)\b)(?:\s+\w+)?",
    re.IGNORECASE,
)


def numbers(sentence: str, said_on: date | None) -> list[str]:
    """Numbers with the word after each, except numbers in dates."""
    dates = [span.position for span in find_dates(sentence, said_on=said_on)]
    return [
        match[0]
        for match in _NUMBER.finditer(sentence)
        if not any(start <= match.start() < end for start, end in dates)
    ]


_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth".split()
_ORDINAL = re.compile(rf"\b({'|'.join(_ORDINALS)})\s+((?:[\w-]+\s+){{0,3}}?[\w-]+)\b", re.IGNORECASE)


def ordinals(sentence: str, stems: Collection[str]) -> list[int]:
    """3 for `my third video game tournament`, if one of the next four words has a stem of the question."""
    after = ((match[1].lower(), sentence[match.start(2) :].split()[:4]) for match in _ORDINAL.finditer(sentence))
    return [_ORDINALS.index(name) + 1 for name, then in after if not set(base_stems(" ".join(then))).isdisjoint(stems)]


_KIN = (
    "mom|mum|mother|dad|father|parents?|sisters?|brothers?|siblings?|husband|wife|partner|boyfriend|girlfriend|fianc[ée]e?|"
    "sons?|daughters?|kids|children|grandma|grandmother|grandpa|grandfather|grandparents|aunt|uncle|cousins?|niece|nephew|"
    "friends?|buddy|buddies|colleagues?|coworkers?|boss|mentors?|teachers?|coach|neighbou?rs?|team|teammates?|family|"
    "roommate|customers?|students?"
)
_PERSON = re.compile(
    rf"\b(?:[Mm]y|[Oo]ur|[Hh]is|[Hh]er|[Tt]heir|[Aa]n?|[Tt]he|[Ss]ome)\s+(?:[\w-]+\s+){{0,2}}?(?:{_KIN})\b(?:\s+[A-Z]\w+)?"
)
# Consecutive capitalised words, unless they begin the sentence.
_CAPITALISED = re.compile(r"(?<![.!?]\s)(?<!^)(?<![\"'“])\b[A-Z][a-z]+(?:\s+[A-Z][a-z]+)*\b")
_PROPER = re.compile(
    r"(?<![.!?]\s)(?<!^)(?<!-)\b[A-Z][\w'&-]*(?::\w+)?(?:\s+(?:(?:of|the|and|in)\s+)*[A-Z0-9][\w'&-]*)*"
)
_QUOTED = re.compile(r"[\"“]([^\"”]{2,60})[\"”]")
CALENDAR = frozenset(
    map(
        base_stem,
        ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
         "december", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "i"],
    )
)  # fmt: skip


def _is_known(phrase: str, known: Collection[str]) -> bool:
    return any(base_stem(word) in known for word in words(phrase))


def people(sentence: str, known: Collection[str]) -> list[str]:
    """Relations ("my sister Ann") and names, except names with a stem in `known`."""
    sentence = without_opening(sentence)
    names = [match[0] for match in _CAPITALISED.finditer(sentence) if not _is_known(match[0], known)]
    return [match[0] for match in _PERSON.finditer(sentence)] + names


# At the beginning of a sentence, only what cannot be an ordinary word is a name: "Harry Potter", "J.K. Rowling", "Spider-Man".
_FIRST_NAME = re.compile(r"^(?:[A-Z]\.\s?)*[A-Z][\w'&]*(?:-[A-Z]\w+|(?:\s+(?:(?:of|the|and|in)\s+)*[A-Z][\w'&-]*)+)")


def names(sentence: str, known: Collection[str]) -> list[str]:
    """Titles in quotation marks, and proper names except those with a stem in `known`."""
    titles = [match[1].rstrip(",.!") for match in _QUOTED.finditer(sentence)]
    sentence = _QUOTED.sub("", without_opening(sentence))
    first = _FIRST_NAME.match(sentence)
    proper = ([first[0]] if first else []) + [match[0] for match in _PROPER.finditer(sentence)]
    return titles + [name for name in proper if not _is_known(name, known) and name.lower() not in STOPWORDS]


_PROPER_PLACE = re.compile(
    r"\b(?:in|at|to|from|near|around|through|visited|visiting)\s+"
    r"((?:the\s+)?[A-Z][\w'-]*(?:,?\s+(?:of\s+)?[A-Z][\w'-]*)*)"
)
_PLACE = re.compile(
    r"\b(?:in|at|to|on|near|by|from)\s+((?:the|an?|my|our|this)\s+(?:local\s+)?[a-z]+"
    r"(?:\s(?!(?:and|to|for|with|last|this|on|in|but)\b)[a-z]+)?)"
)


def places(sentence: str, said_on: date | None, known: Collection[str]) -> list[str]:
    """Places after `in`, `at`, `to` and the like: proper names if there are any, else common nouns."""
    dates = [span.text for span in dates_in(sentence, said_on)]
    proper = [match[1] for match in _PROPER_PLACE.finditer(sentence) if not any(match[1] in d for d in dates)]
    common = [match[1] for match in _PLACE.finditer(sentence) if not any(match[1] in d for d in dates)]
    return [p for p in proper if not set(base_stems(p)) <= set(known)] or [
        p for p in common if set(base_stems(p)).isdisjoint(known)
    ]


_NEGATIVE = re.compile(
    r"\b(?:not|never|no|nobody|nothing|none|neither|nor|without|hardly|cannot)\b|n['’]t\b", re.IGNORECASE
)
_REASON = re.compile(
    r"\b(?:because|since|'?cause|so that|in order to|inspired by|motivated by|thanks to)\b", re.IGNORECASE
)


def is_negative(sentence: str) -> bool:
    return _NEGATIVE.search(sentence) is not None


def gives_reason(sentence: str) -> bool:
    return _REASON.search(sentence) is not None
