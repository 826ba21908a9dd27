"""A text parsed for comparison: its content words, names, dates and numbers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

from engram_eval.judges.offline.numbers import in_digits, numbers_in
from engram_eval.judges.offline.spelling import MIN_GLUED, is_misspelled
from engram_eval.language.dates import DateSpan, find_dates
from engram_eval.language.scripts import is_unspaced
from engram_eval.language.words import STOPWORDS, stem, words

SHORT = 12  # content words; longer answers explain, and their precision says nothing


@dataclass(frozen=True, slots=True)
class ParsedText:
    """What the rules compare.

    `content` are the stems without stop words, in order (all stems if there are only stop words); `stems` are all stems.
    `known` are the stems of `content` and the acronyms of the names. `joined` is the text without spaces and punctuation.
    `dates` are absolute; `numbers` are those that are not part of a date.
    """

    text: str
    content: tuple[str, ...]
    stems: tuple[str, ...]
    known: frozenset[str]
    joined: str
    dates: tuple[DateSpan, ...]
    numbers: tuple[str, ...]

    @property
    def is_short(self) -> bool:
        return len(self.content) <= SHORT

    def contains(self, word_stem: str) -> bool:
        """Is the stem in the text, possibly glued to its neighbours ("ice cream" for "icecream") or misspelled?"""
        if word_stem in self.known:
            return True
        if is_unspaced(word_stem):
            return word_stem in self.joined
        if len(word_stem) < MIN_GLUED:
            return False
        return word_stem in self.joined or is_misspelled(word_stem, self.known)


@lru_cache(maxsize=1_000)
def parse_text(text: str, *, dated: bool = True, near: date | None = None) -> ParsedText:
    """Parses a text, with its dates and numbers if `dated`. A date without a year is the one nearest to the day `near`."""
    tokens = [in_digits(word) for word in words(text)]
    stems = tuple(map(stem, tokens))
    content = tuple(s for s, token in zip(stems, tokens, strict=True) if token not in STOPWORDS) or stems
    dates = tuple(span for span in find_dates(text, said_on=near) if not span.relative) if dated else ()
    return ParsedText(
        text=text,
        content=content,
        stems=stems,
        known=frozenset(content).union(acronyms_in(text)),
        joined="".join(tokens),
        dates=dates,
        numbers=_numbers_beside_dates(text, dates) if dated else (),
    )


def share_found(stems: Collection[str], text: ParsedText) -> float:
    """The share of the stems that the text contains, from 0 to 1; 0 if there are none."""
    return sum(map(text.contains, stems)) / len(stems) if stems else 0.0


def without_dates(text: str, dates: Iterable[DateSpan]) -> str:
    """The text with a space in place of each date."""
    for start, end in sorted((span.position for span in dates), reverse=True):
        text = text[:start] + " " + text[end:]
    return text


# The count in "ten years before June 2023" is a number, although the phrase is a date.
_COUNTED = re.compile(r"\w+ (?:day|week|weekend|month|year|decade)s? (?:before|after|prior|following)\b", re.IGNORECASE)


def _numbers_beside_dates(text: str, dates: Iterable[DateSpan]) -> tuple[str, ...]:
    return numbers_in(without_dates(text, [span for span in dates if not _COUNTED.match(text, *span.position)]))


# --- acronyms ---------------------------------------------------------------------------------------------------

_NAME = re.compile(r"\b[A-Z]\w+(?: (?:of |the |and )*[A-Z]\w+){1,4}")
_WORD_OF_NAME = re.compile(r"\b[A-Z]\w+")
_ACRONYM = re.compile(r"\b[A-Z]{2,5}\b")


def acronyms_in(text: str) -> dict[str, tuple[str, ...]]:
    """The acronym of each name of several words, and the stems of its words: `uk` for "United Kingdom"."""
    capitalised = (_WORD_OF_NAME.findall(name) for name in _NAME.findall(text))
    names = [[word for word in name if word.lower() not in STOPWORDS] for name in capitalised]  # "The United Kingdom"
    acronyms = ((name, "".join(word[0] for word in name).lower()) for name in names if len(name) > 1)
    return {acronym: tuple(stem(word.lower()) for word in name) for name, acronym in acronyms}


def expand_acronyms(answer: ParsedText, gold: ParsedText) -> ParsedText:
    """The answer as if it spelled out the acronyms of names in the gold."""
    names = acronyms_in(gold.text)
    if not names:
        return answer
    expanded = [part for acronym in _ACRONYM.findall(answer.text) for part in names.get(acronym.lower(), ())]
    return replace(answer, known=answer.known.union(expanded)) if expanded else answer
