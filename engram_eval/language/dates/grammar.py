"""The grammar of dates: the names and numbers in them, and the one pattern that matches every date phrase."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable

from engram_eval.language.dates.calendar_spans import SEASONS

MONTHS = {name.lower(): i for i, name in enumerate(calendar.month_name) if i}
MONTHS |= {name[:3]: i for name, i in MONTHS.items()} | {"sept": 9}
WEEKDAYS = {name.lower(): i for i, name in enumerate(calendar.day_name)}
WEEKDAYS |= {name[:3]: i for name, i in WEEKDAYS.items()} | {"tues": 1, "thur": 3, "thurs": 3}
NUMBERS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "couple": 2, "few": 3,
}  # fmt: skip
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
THIRDS = {"early": 0, "beginning": 0, "start": 0, "mid": 1, "middle": 1, "late": 2, "end": 2}
# Names of months and weekdays that are also ordinary words: "it may", "we march". They are dates only with a capital letter
# or beside a day or a year.
ORDINARY_WORDS = frozenset(("may", "march", "mar", "sat", "sun"))


def _one_of(names: Iterable[str]) -> str:
    return "(?:" + "|".join(sorted(names, key=len, reverse=True)) + ")"


_MONTH = _one_of(MONTHS) + r"\b\.?"
_WEEKDAY = _one_of(WEEKDAYS) + r"\b"
_SEASON = _one_of(SEASONS) + r"\b"
_NUMBER = r"(?:\d{1,3}|(?:a\s+)?(?:couple|few)(?:\s+of)?|" + _one_of(NUMBERS.keys() - {"couple", "few"}) + ")"
_YEAR = r"(?:19|20)\d\d"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_TH = r"(?:st|nd|rd|th)?"
_TO = r"\s*(?:-|–|to|and)\s*"
_AND_YEAR = r"(?:(?:,\s*|\.\s*|\s+|\s+of\s+)(?P<{0}>" + _YEAR + r")\b)"

# A date that does not depend on another one: what can follow "the week before ...". Each `@` is replaced by a suffix, so
# that the pattern can be used twice with different group names.
_ABSOLUTE = (
    r"(?:(?P<iso_y@>\d{4})[-/](?P<iso_m@>\d{1,2})[-/](?P<iso_d@>\d{1,2})(?!\d)"
    r"|(?P<us_m@>\d{1,2})/(?P<us_d@>\d{1,2})/(?P<us_y@>\d{4})(?![\d/])"
    rf"|(?P<dm_d@>{_DAY}){_TH}(?:{_TO}(?P<dm_e@>{_DAY}){_TH})?\s*(?:of\s+)?(?P<dm_m@>{_MONTH}){_AND_YEAR.format('dm_y@')}?"
    rf"|(?P<md_m@>{_MONTH})\s+(?P<md_d@>{_DAY})(?:(?P<md_th@>st|nd|rd|th)|(?![\w:/]|\.\d|\s*(?:[ap]\.?m)\b))"
    rf"(?:\s*(?:-|–|to)\s*(?P<md_e@>{_DAY}){_TH}(?![\w:/]))?{_AND_YEAR.format('md_y@')}?"
    rf"|(?P<my_m@>{_MONTH}){_AND_YEAR.format('my_y@')})"
)
DATE_PHRASE = re.compile(
    r"(?<![\w$€£])(?<!\d[.,/-])(?:"
    rf"(?:the\s+)?(?:(?P<rel_n>{_NUMBER})\s+)?(?P<unit>day|weekend|week|month|year|{_WEEKDAY})s?"
    rf"\s+(?P<relation>before|after|of|following|prior\s+to)\s+{_ABSOLUTE.replace('@', '_r')}"
    rf"|(?:the\s+)?(?P<ordinal>first|second|third|fourth|last)\s+(?P<part>weekend|week)\s+(?:of|in)\s+(?P<om>{_MONTH}){_AND_YEAR.format('oy')}?"
    rf"|(?:the\s+)?(?P<third>{_one_of(THIRDS)})(?:[\s-]+|\s+of\s+|\s+in\s+)(?:(?P<tm>{_MONTH}){_AND_YEAR.format('ty')}?|(?P<third_y>{_YEAR})\b)"
    rf"|{_ABSOLUTE.replace('@', '')}"
    rf"|(?P<season>{_SEASON})\s+(?:of\s+)?(?P<season_y>{_YEAR})\b(?!\s*(?:feet|miles|steps))"
    r"|(?P<day_word>(?:the\s+)?day\s+before\s+yesterday|(?:the\s+)?day\s+after\s+tomorrow|yesterday|today|tonight|tomorrow|last\s+night"
    r"|this\s+(?:morning|afternoon|evening))\b"
    rf"|(?P<which>last|past|this\s+past|this\s+coming|this|next|coming|previous|on)\s+(?P<weekday>{_WEEKDAY})"
    rf"(?!,?\s+(?:the\s+)?(?:{_DAY}{_TH}\s+(?:of\s+)?{_MONTH}|{_MONTH}\s+\d))"
    rf"|(?:the\s+)?(?P<which_unit>last|past|this\s+past|this|next|coming|previous)\s+(?P<span>weekend|week|month|year|{_SEASON})\b(?!\s+(?:of\s+)?{_YEAR}\b)"
    r"|(?:over|during|on|at)\s+the\s+(?P<the_weekend>weekend)\b"
    rf"|(?P<which_month>in|during|since|by|until|last|this|next)\s+(?P<month>{_MONTH})(?!(?:,|\s+of)?\s+(?:{_YEAR}|{_DAY}{_TH})\b)"
    rf"|(?:on|by|until|since)\s+the\s+(?P<nth>{_DAY})(?:st|nd|rd|th)\b(?!\s+(?:of\b|floor|century|grade|street|avenue|birthday|anniversary|day|page|hole|round|try|attempt|time|place))"
    rf"|(?P<half>half\s+a\s+year\s+ago)\b"
    rf"|(?:about\s+|around\s+|over\s+)?(?P<n>{_NUMBER})\s+(?P<ago_unit>day|weekend|week|month|year|decade)s?\s+(?:ago|back)\b"
    rf"|(?P<from_n>{_NUMBER})\s+(?P<from_unit>day|week|month|year)s?\s+from\s+now\b"
    rf"|in\s+(?:about\s+)?(?P<in_n>{_NUMBER})\s+(?P<in_unit>day|week|month|year)s?(?:'?\s+time)?\b"
    rf"|(?P<year>{_YEAR})(?![\w$€£%]|[-/:.,]\d|\s*(?:dollars|euros|people|miles|steps|points|words|feet|km|calories)\b)"
    r")"
)  # fmt: skip

# Most sentences have no date: a few substring searches show it faster than the pattern, which is tried at every word.
_WORDS_OF_TIME = (
    "day", "week", "month", "year", "last night", "tonight", "tomorrow", "this morning", "this afternoon", "this evening",
    "decade", "last s", "this s", "next s", "last fall", "next fall", "last winter", "this winter", "next winter",
    "last autumn", "this autumn", "next autumn",
)  # fmt: skip
_DIGIT = re.compile("[0-9]")
_NAMES_OF_TIMES = tuple(before + name[:3] for name in sorted(MONTHS | WEEKDAYS) if len(name) == 3 for before in " -")
_NAME_OF_TIME = re.compile(
    r"\b(?:in|during|since|by|until|last|this|next|coming|previous|past|on|early|mid|late|of)[\s-]+"
    rf"(?:{_MONTH}|{_WEEKDAY})"
)


def may_contain_date(lower: str) -> bool:
    """A quick check on a text in lower case: False only if `DATE_PHRASE` cannot match."""
    if _DIGIT.search(lower) or any(map(lower.__contains__, _WORDS_OF_TIME)):
        return True
    return any(map(lower.__contains__, _NAMES_OF_TIMES)) and _NAME_OF_TIME.search(lower) is not None
