"""Golds as dates and as numbers: read, written in another form, and changed into others."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from engram_eval.language.dates import find_dates
from engram_eval.language.dates.calendar_spans import months_from
from engram_eval.language.words import words
from engram_eval.types import Question


def by_hash(seed: int, *parts: str) -> bytes:
    text = "\0".join([str(seed), *parts])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class Pick:
    """Chooses by hash: the same for the same question and seed, whatever else is in the dataset."""

    seed: int
    question: Question

    def of(self, what: str, choices: Sequence[str]) -> str:
        return choices[self.number(what) % len(choices)]

    def number(self, what: str) -> int:
        return int.from_bytes(by_hash(self.seed, what, self.question.id)[:4], "big")


# --- reading question and gold ----------------------------------------------------------------------------------

_ALSO = re.compile(r"\.\s[^.]*\bis also acceptable\b.*", re.IGNORECASE | re.DOTALL)
ASKS = re.compile(
    r"\b(how (?:many|much|long|often|old|far|tall|big)|who|whom|whose|when|where|why|which|what|how)\b", re.IGNORECASE
)
SIDE = re.compile(r"\W*((?:most |very )?likely |probably )?(yes|no)\b", re.IGNORECASE)
FIRST = re.compile(r"which (?:\w+ ){0,2}?(came|happened|was|took place) (first|last|earlier|later)\b", re.IGNORECASE)
CHOICE = re.compile(r"[:,]\s*(.+?),?\s+or\s+(.+?)\s*\?", re.IGNORECASE)
COUNTED = re.compile(r"how (?:many|much|long|often|old|far|tall|big)", re.IGNORECASE)


def sentence(text: str) -> str:
    text = text.strip()
    return (text[:1].upper() + text[1:]).rstrip(".") + "."


def core(gold: str) -> str:
    """The gold without remarks on what else would do, and without its full stop."""
    return _ALSO.sub("", gold).strip().rstrip(".").strip()


def question_word(question: str) -> str:
    """The question word, in small letters; empty if there is none."""
    found = ASKS.search(question)
    return found[1].lower() if found else ""


# --- dates ------------------------------------------------------------------------------------------------------

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December")  # fmt: skip
_MONTH = rf"(?:{'|'.join(rf'{name}|{name[:3]}(?![a-z])' for name in MONTHS)})"
_YEAR = r"(?:19|20)\d\d"
_LITERAL = re.compile(
    rf"(?P<iy>{_YEAR})-(?P<im>\d\d)-(?P<id>\d\d)(?!\d)"
    rf"|\b(?P<d>[0-3]?\d)(?:st|nd|rd|th)?\s*(?:of\s+)?(?P<m>{_MONTH})\.?,?\s*(?P<y>{_YEAR})\b"
    rf"|\b(?P<M>{_MONTH})\.?\s+(?P<D>[0-3]?\d)(?:st|nd|rd|th)?,?\s+(?P<Y>{_YEAR})\b"
    rf"|\b(?P<om>{_MONTH})\.?,?\s*(?P<oy>{_YEAR})\b"
    rf"|\b(?P<year>{_YEAR})\b"
)
# What may stand beside a date in a gold that is a date and nothing else: "the week before", "early", "in".
_BESIDE = frozenset(
    """the a an in on at of by around about before after during since until early mid late beginning middle start end first
    second third fourth last two three few days day week weeks weekend weekends month year monday tuesday wednesday thursday
    friday saturday sunday spring summer fall autumn winter morning afternoon evening night""".split()
)


@dataclass(frozen=True, slots=True)
class _Date:
    """A date as written. `day` and `month` are None where it is coarser; `iso` as it was spelled."""

    year: int
    month: int | None
    day: int | None


def _read_date(match: re.Match[str]) -> _Date | None:
    g = match.groupdict()
    year = g["iy"] or g["y"] or g["Y"] or g["oy"] or g["year"]
    named = g["m"] or g["M"] or g["om"]
    month = int(g["im"]) if g["im"] else _month_number(named) if named else None
    day = g["id"] or g["d"] or g["D"]
    try:
        date(int(year), month or 1, int(day or 1))
    except ValueError:
        return None
    return _Date(int(year), month, int(day) if day else None)


def _month_number(name: str) -> int:
    return next(i for i, month in enumerate(MONTHS, start=1) if month.startswith(name[:3]))


def is_date(gold: str) -> bool:
    """Is the gold a date with its year, and nothing else?"""
    literals = list(_LITERAL.finditer(gold))
    return len(literals) == 1 and not set(words(_LITERAL.sub(" ", gold))) - _BESIDE and bool(_read_date(literals[0]))


def rewritten_date(gold: str, pick: Pick) -> str | None:
    """The same date in another format. None if what reads dates does not read the same from it."""
    match = next(_LITERAL.finditer(gold))
    found = _read_date(match)
    if found is None:
        return None
    old = match[0]
    if found.day and found.month:
        name, year = MONTHS[found.month - 1], found.year
        numeral = f"{found.day}{_ending(found.day)}"
        forms = [
            f"{name} {numeral}, {year}",
            f"{year}-{found.month:02}-{found.day:02}",
            f"the {numeral} of {name} {year}",
        ]
    elif found.month:
        forms = [f"{MONTHS[found.month - 1]} of {found.year}"]
    else:
        forms = [f"{found.year}"]
    bare = match.span() == (0, len(gold))
    told = []
    for form in forms:
        if not bare:
            told.append(gold[: match.start()] + form + gold[match.end() :])
        elif found.day:
            told += [f"on {form}", f"that was {form}"] if form[0].isdigit() else [f"on {form}"]
        else:
            told.append(f"in {form}" if found.month else f"in the year {form}")
    told = [text for text in told if text != gold and _same_days(gold, text) and not (found.day and old in text)]
    return sentence(pick.of("date", told)) if told else None


def _same_days(one: str, other: str) -> bool:
    spans = [[(s.start, s.end) for s in find_dates(text, said_on=None)] for text in (one, other)]
    return bool(spans[0]) and spans[0] == spans[1]


def _ending(day: int) -> str:
    return "th" if 10 <= day % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def moved_date(gold: str, pick: Pick) -> str:
    """16 to 32 months off and in another month; a year alone by two to four years."""
    match = next(_LITERAL.finditer(gold))
    found = _read_date(match)
    assert found is not None  # `is_date` has read it
    draw = pick.number("moved")
    sign = 1 if draw % 2 else -1
    if found.month is None:
        form = str(found.year + sign * (2 + draw // 2 % 3))
    else:
        moved = months_from(date(found.year, found.month, 1), sign * (12 * (1 + draw // 2 % 2) + 4 + draw // 4 % 5))
        day = "" if found.day is None else f"{(found.day + 8) % 28 + 1} "
        form = f"{day}{MONTHS[moved.month - 1]} {moved.year}"
    return sentence(gold[: match.start()] + form + gold[match.end() :])


# --- numbers ----------------------------------------------------------------------------------------------------

_ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
         "eighteen nineteen").split()  # fmt: skip
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_TIMES = {"once": 1, "twice": 2, "thrice": 3}
_QUALIFIER = r"(?:about |around |over |almost |nearly |at least |for |approximately |roughly )?"


def _in_words(number: int) -> str:
    """Of 0 to 99."""
    if number < 20:
        return _ONES[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens - 2] + (f"-{_ONES[ones]}" if ones else "")


_VALUES = {_in_words(n): n for n in range(100)}
_COUNT = re.compile(
    rf"(?P<lead>{_QUALIFIER})(?:(?P<dollars>\$)\s?)?"
    rf"(?P<number>\d{{1,3}}(?:,\d{{3}})+|\d+|{'|'.join(sorted(_VALUES, key=len, reverse=True))}|{'|'.join(_TIMES)})"
    r"(?P<unit>%?(?:\s+(?!and\b|or\b)[a-z]+){0,4})",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Count:
    """A gold that is a number and what is counted: "about three times a week", "$375"."""

    lead: str
    dollars: bool
    number: int
    spelled: bool
    times: bool
    unit: str


def read_count(question: str, gold: str) -> _Count | None:
    """None where the gold is anything else. A lone "one" is a pronoun unless a number was asked for."""
    found = _COUNT.fullmatch(gold)
    if found is None:
        return None
    text = found["number"].lower()
    asked = COUNTED.search(question) is not None
    if not asked and (text == "one" or len(words(found["unit"])) > 1):
        return None
    value = _TIMES.get(text, _VALUES.get(text))
    if value is None and len(text) > 12:
        return None
    number = value if value is not None else int(text.replace(",", ""))
    return _Count(found["lead"], bool(found["dollars"]), number, value is not None, text in _TIMES, found["unit"])


def rewritten_count(count: _Count) -> str | None:
    """Digits for words, words for digits."""
    if count.times:
        return sentence(f"{count.lead}{count.number} time{'s' if count.number > 1 else ''}{count.unit}")
    unit = count.unit.replace("%", " percent")
    if count.dollars:
        return sentence(f"{count.lead}{count.number:,} dollars{unit}")
    if count.spelled:
        return sentence(f"{count.lead}{count.number}{unit}")
    if count.number < 100:
        return sentence(f"{count.lead}{_in_words(count.number)}{unit}")
    return None


def changed_count(count: _Count) -> str:
    """3n + 2: further off than any judge forgives."""
    number = 3 * count.number + 2
    shown = _in_words(number) if count.spelled and not count.times and number < 100 else f"{number:,}"
    times = " times" if count.times else ""
    return sentence(f"{count.lead}{'$' if count.dollars else ''}{shown}{times}{count.unit}")
