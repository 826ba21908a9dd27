"""Reads the dates and numbers in golds, writes them in another form, and changes them into other ones."""

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


def hash_key(seed: int, *parts: str) -> bytes:
    """A sort key that is random but always the same for the same arguments."""
    text = "\0".join([str(seed), *parts])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class Pick:
    """Makes random choices that depend on the question, the seed and the `purpose` only, not on the rest of the dataset."""

    seed: int
    question: Question

    def choose(self, purpose: str, choices: Sequence[str]) -> str:
        return choices[self.number(purpose) % len(choices)]

    def number(self, purpose: str) -> int:
        """A number from 0 to 2^32 - 1."""
        return int.from_bytes(hash_key(self.seed, purpose, self.question.id)[:4], "big")


# --- questions and golds ----------------------------------------------------------------------------------------

_ALSO_ACCEPTABLE = re.compile(r"\.\s[^.]*\bis also acceptable\b.*", re.IGNORECASE | re.DOTALL)
QUESTION_WORD = re.compile(
    r"\b(how (?:many|much|long|often|old|far|tall|big)|who|whom|whose|when|where|why|which|what|how)\b", re.IGNORECASE
)
YES_OR_NO = re.compile(r"\W*((?:most |very )?likely |probably )?(yes|no)\b", re.IGNORECASE)
WHICH_CAME_FIRST = re.compile(
    r"which (?:\w+ ){0,2}?(came|happened|was|took place) (first|last|earlier|later)\b", re.IGNORECASE
)
ALTERNATIVES = re.compile(r"[:,]\s*(.+?),?\s+or\s+(.+?)\s*\?", re.IGNORECASE)
COUNT_QUESTION = re.compile(r"how (?:many|much|long|often|old|far|tall|big)", re.IGNORECASE)


def as_sentence(text: str) -> str:
    """The text with a capital letter and a full stop."""
    text = text.strip()
    return (text[:1].upper() + text[1:]).rstrip(".") + "."


def bare_gold(gold: str) -> str:
    """The gold without its full stop and without remarks such as "15 days is also acceptable"."""
    return _ALSO_ACCEPTABLE.sub("", gold).strip().rstrip(".").strip()


def question_word(question: str) -> str:
    """The question word in lower case; empty if there is none."""
    match = QUESTION_WORD.search(question)
    return match[1].lower() if match else ""


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
# Words that a gold may have beside a date and still be a date only: "the week before", "early", "in".
_DATE_CONTEXT = frozenset(
    """the a an in on at of by around about before after during since until early mid late beginning middle start end first
    second third fourth last two three few days day week weeks weekend weekends month year monday tuesday wednesday thursday
    friday saturday sunday spring summer fall autumn winter morning afternoon evening night""".split()
)


@dataclass(frozen=True, slots=True)
class _Date:
    """`day` is None if only month and year are given; `month` is None too if only the year is given."""

    year: int
    month: int | None
    day: int | None


def _read_date(match: re.Match[str]) -> _Date | None:
    """None if the calendar has no such day."""
    groups = match.groupdict()
    year = groups["iy"] or groups["y"] or groups["Y"] or groups["oy"] or groups["year"]
    month_name = groups["m"] or groups["M"] or groups["om"]
    month = int(groups["im"]) if groups["im"] else _month_number(month_name) if month_name else None
    day = groups["id"] or groups["d"] or groups["D"]
    try:
        date(int(year), month or 1, int(day or 1))
    except ValueError:
        return None
    return _Date(int(year), month, int(day) if day else None)


def _month_number(name: str) -> int:
    return next(i for i, month in enumerate(MONTHS, start=1) if month.startswith(name[:3]))


def is_date(gold: str) -> bool:
    """Whether the gold is a date with a year and nothing else."""
    literals = list(_LITERAL.finditer(gold))
    return (
        len(literals) == 1 and not set(words(_LITERAL.sub(" ", gold))) - _DATE_CONTEXT and bool(_read_date(literals[0]))
    )


def rewritten_date(gold: str, pick: Pick) -> str | None:
    """The same date in another format. None if the date parser does not read the same days from it."""
    match = next(_LITERAL.finditer(gold))
    written = _read_date(match)
    if written is None:
        return None
    if written.day and written.month:
        name, year = MONTHS[written.month - 1], written.year
        ordinal = f"{written.day}{_ordinal_suffix(written.day)}"
        forms = [
            f"{name} {ordinal}, {year}",
            f"{year}-{written.month:02}-{written.day:02}",
            f"the {ordinal} of {name} {year}",
        ]
    elif written.month:
        forms = [f"{MONTHS[written.month - 1]} of {written.year}"]
    else:
        forms = [f"{written.year}"]
    date_only = match.span() == (0, len(gold))
    candidates = []
    for form in forms:
        if not date_only:
            candidates.append(gold[: match.start()] + form + gold[match.end() :])
        elif written.day:
            candidates += [f"on {form}", f"that was {form}"] if form[0].isdigit() else [f"on {form}"]
        else:
            candidates.append(f"in {form}" if written.month else f"in the year {form}")
    rewritten = [
        text
        for text in candidates
        if text != gold and _same_days(gold, text) and not (written.day and match[0] in text)
    ]
    return as_sentence(pick.choose("date", rewritten)) if rewritten else None


def _same_days(first: str, second: str) -> bool:
    spans = [[(span.start, span.end) for span in find_dates(text, said_on=None)] for text in (first, second)]
    return bool(spans[0]) and spans[0] == spans[1]


def _ordinal_suffix(day: int) -> str:
    return "th" if 10 <= day % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def shifted_date(gold: str, pick: Pick) -> str:
    """The date moved by 16 to 32 months, into another month; a year alone moves by two to four years."""
    match = next(_LITERAL.finditer(gold))
    written = _read_date(match)
    assert written is not None  # `is_date` has read it
    draw = pick.number("moved")
    sign = 1 if draw % 2 else -1
    if written.month is None:
        form = str(written.year + sign * (2 + draw // 2 % 3))
    else:
        months = sign * (12 * (1 + draw // 2 % 2) + 4 + draw // 4 % 5)
        shifted = months_from(date(written.year, written.month, 1), months)
        day = "" if written.day is None else f"{(written.day + 8) % 28 + 1} "
        form = f"{day}{MONTHS[shifted.month - 1]} {shifted.year}"
    return as_sentence(gold[: match.start()] + form + gold[match.end() :])


# --- numbers ----------------------------------------------------------------------------------------------------

_ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
         "eighteen nineteen").split()  # fmt: skip
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_TIMES = {"once": 1, "twice": 2, "thrice": 3}
_QUALIFIER = r"(?:about |around |over |almost |nearly |at least |for |approximately |roughly )?"


def _in_words(number: int) -> str:
    """A number from 0 to 99 in words."""
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
    """A gold that is a number with its unit: "about three times a week", "$375".

    `spelled`: the number is in words; `times`: it is "once", "twice" or "thrice".
    """

    lead: str
    dollars: bool
    number: int
    spelled: bool
    times: bool
    unit: str


def read_count(question: str, gold: str) -> _Count | None:
    """None if the gold is anything else. "One" is a pronoun unless the question asks for a number."""
    match = _COUNT.fullmatch(gold)
    if match is None:
        return None
    text = match["number"].lower()
    asks_for_number = COUNT_QUESTION.search(question) is not None
    if not asks_for_number and (text == "one" or len(words(match["unit"])) > 1):
        return None
    value = _TIMES.get(text, _VALUES.get(text))
    if value is None and len(text) > 12:
        return None
    number = value if value is not None else int(text.replace(",", ""))
    return _Count(match["lead"], bool(match["dollars"]), number, value is not None, text in _TIMES, match["unit"])


def rewritten_count(count: _Count) -> str | None:
    """The number in digits if it was in words, and in words if it was in digits; None for digits from 100."""
    if count.times:
        return as_sentence(f"{count.lead}{count.number} time{'s' if count.number > 1 else ''}{count.unit}")
    unit = count.unit.replace("%", " percent")
    if count.dollars:
        return as_sentence(f"{count.lead}{count.number:,} dollars{unit}")
    if count.spelled:
        return as_sentence(f"{count.lead}{count.number}{unit}")
    if count.number < 100:
        return as_sentence(f"{count.lead}{_in_words(count.number)}{unit}")
    return None


def changed_count(count: _Count) -> str:
    """The number n as 3n + 2, which no judge accepts for n."""
    number = 3 * count.number + 2
    shown = _in_words(number) if count.spelled and not count.times and number < 100 else f"{number:,}"
    times = " times" if count.times else ""
    return as_sentence(f"{count.lead}{'$' if count.dollars else ''}{shown}{times}{count.unit}")
