"""One text taken apart for comparison: its content words, names, dates and numbers."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

from engram_eval.language.dates import DateSpan, find_dates
from engram_eval.language.words import STOPWORDS, stem, words

MAX_CHARACTERS = 4_000  # of an answer; ten times the length of a wordy one. What stands further on is not read.
SHORT = 12  # content words; longer answers explain, and precision says nothing of them


# --- cleaning ---------------------------------------------------------------------------------------------------

# Golds are typed by hand: "22August, 2022", "April.2023", "2` April", "21Febuary".
_GLUED = re.compile(r"(?<=\d)(?=[A-Z][a-z]{2})|(?<=[a-z]{3})\.(?=\d)|(?<=\d)`")
_INVISIBLE = re.compile(r"[^\S\n]|[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_MONTHS = ("January", "February", "March", "April", "June", "July", "August", "September", "October", "November",
           "December")  # fmt: skip
_BESIDE_A_NUMBER = re.compile(r"(?<=\d )[A-Z][a-z]{3,10}\b|\b[A-Z][a-z]{3,10}(?=,? \d)")
_MONTH_ALIKE = 0.85  # difflib's ratio: one letter too few or too many passes, another word ("Match", "Jane") does not
# "Last week before 9 June" and "Last Saturday before 9 June" are what people call "the week before 9 June".
_LAST_BEFORE = re.compile(
    r"\b(?:last|previous|past)\s+(?=(?:week|weekend|month|year|(?:mon|tues|wednes|thurs|fri|satur|sun)day)"
    r"\s+(?:before|prior\s+to)\b)",
    re.IGNORECASE,
)


def clean(text: str) -> str:
    """One form for each character, words and dates apart, months as they are spelled. At most MAX_CHARACTERS are read."""
    text = _INVISIBLE.sub(" ", unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]))
    text = _BESIDE_A_NUMBER.sub(lambda match: _month(match[0]), _GLUED.sub(" ", text))
    return _LAST_BEFORE.sub("the ", text)


@lru_cache(maxsize=1_000)
def _month(word: str) -> str:
    return next(iter(difflib.get_close_matches(word, _MONTHS, 1, _MONTH_ALIKE)), word)


# --- a view -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ParsedText:
    """A text taken apart. `content` are stems without stop words (of a text of nothing else, all), in order; `stems` are
    all stems, `known` is what the text holds, the initials of its names among it."""

    text: str
    content: tuple[str, ...]
    stems: tuple[str, ...]
    known: frozenset[str]
    squeezed: str
    dates: tuple[DateSpan, ...]
    numbers: tuple[str, ...]

    @property
    def short(self) -> bool:
        return len(self.content) <= SHORT

    def holds(self, wanted: str) -> bool:
        """Is the stem there, if need be glued to its neighbours ("ice cream" for "icecream") or in a slip of the pen?"""
        if wanted in self.known:
            return True
        if wanted >= _NO_SPACES:
            return wanted in self.squeezed
        if len(wanted) < _GLUABLE:
            return False
        return wanted in self.squeezed or _typed_otherwise(wanted, self.known)


_GLUABLE = 5  # letters; shorter words turn up inside others by chance
_NO_SPACES = "\u2e80"  # Chinese and Japanese do not part words: from here on in Unicode, being inside is being there
_MISTYPED = 7  # letters; shorter words that differ in one letter are often two words
_LONGEST = 40  # letters; no longer word is looked for in its parts


def _typed_otherwise(wanted: str, known: frozenset[str]) -> bool:
    """Is a known word all of it but a word glued on ("fiveparrot"), a letter too few or too many, two that changed places?"""
    size = len(wanted)
    if size > _LONGEST:
        return False
    if any(wanted[:i] in known or wanted[-i:] in known for i in range(_GLUABLE, size - 2)):
        return True
    if size < _MISTYPED:
        return False
    cut = ((wanted[:i], wanted[i:]) for i in range(1, size))
    if any(head + tail[1:] in known or head + tail[1:2] + tail[:1] + tail[2:] in known for head, tail in cut):
        return True
    return any(len(word) == size + 1 and word[0] == wanted[0] and _has_one_more(word, wanted) for word in known)


def _has_one_more(word: str, wanted: str) -> bool:
    i = next((i for i, letter in enumerate(wanted) if letter != word[i]), len(wanted))
    return word[i + 1 :] == wanted[i:]


@lru_cache(maxsize=1_000)
def view(text: str, *, dated: bool = True, near: date | None = None) -> ParsedText:
    """`near` is a day: dates without a year are taken to be the nearest to it."""
    tokens = [_digits(word) for word in words(text)]
    every = tuple(map(stem, tokens))
    content = tuple(s for s, token in zip(every, tokens, strict=True) if token not in STOPWORDS) or every
    dates = tuple(span for span in find_dates(text, said_on=near) if not span.relative) if dated else ()
    return ParsedText(
        text=text,
        content=content,
        stems=every,
        known=frozenset(content).union(spelled_out(text)),
        squeezed="".join(tokens),
        dates=dates,
        numbers=_beside_dates(text, dates) if dated else (),
    )


_NAME = re.compile(r"\b[A-Z]\w+(?: (?:of |the |and )*[A-Z]\w+){1,4}")
_WORD_OF_NAME = re.compile(r"\b[A-Z]\w+")
_INITIALS = re.compile(r"\b[A-Z]{2,5}\b")


def spelled_out(text: str) -> dict[str, tuple[str, ...]]:
    """The initials of each name of several words, and the stems of these: `uk` for "United Kingdom"."""
    found = (_WORD_OF_NAME.findall(name) for name in _NAME.findall(text))
    names = [[word for word in name if word.lower() not in STOPWORDS] for name in found]  # "The United Kingdom"
    spelled = ((name, "".join(word[0] for word in name).lower()) for name in names if len(name) > 1)
    return {initials: tuple(stem(word.lower()) for word in name) for name, initials in spelled}


def with_initials_of(answer: ParsedText, gold: ParsedText) -> ParsedText:
    """The answer as if it spelled out the initials that stand for a name in the gold."""
    names = spelled_out(gold.text)
    meant = [part for short in _INITIALS.findall(answer.text) for part in names.get(short.lower(), ())] if names else []
    return replace(answer, known=answer.known.union(meant)) if meant else answer


def share(wanted: Collection[str], text: ParsedText) -> float:
    """How much of what is wanted the text holds; 0 of nothing."""
    return sum(map(text.holds, wanted)) / len(wanted) if wanted else 0.0


# --- numbers ----------------------------------------------------------------------------------------------------

_SMALL = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen",
]  # fmt: skip
_NUMBER_WORDS = {word: str(value) for value, word in enumerate(_SMALL)} | {
    "once": "1", "twice": "2", "thrice": "3", "twenty": "20", "thirty": "30", "forty": "40", "fifty": "50",
    "hundred": "100", "thousand": "1000", "dozen": "12", "decade": "10",
}  # fmt: skip
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def _digits(word: str) -> str:
    if word[0].isdigit():
        return word[:-2] if word.endswith(("st", "nd", "rd", "th")) else word
    return _NUMBER_WORDS.get(word, word)


def numbers(text: str) -> tuple[str, ...]:
    """Numbers in order, in digits without separators."""
    found = [_NUMBER.match(_digits(word)) for word in words(text)]
    return tuple(match[0].replace(",", "") for match in found if match)


def without_dates(text: str, dates: Iterable[DateSpan]) -> str:
    for start, end in sorted((span.position for span in dates), reverse=True):
        text = text[:start] + " " + text[end:]
    return text


# The count in "ten years before June 2023" is a number, whatever date the phrase tells.
_COUNTED = re.compile(r"\w+ (?:day|week|weekend|month|year|decade)s? (?:before|after|prior|following)\b", re.IGNORECASE)


def _beside_dates(text: str, dates: Iterable[DateSpan]) -> tuple[str, ...]:
    return numbers(without_dates(text, [span for span in dates if not _COUNTED.match(text, *span.position)]))
