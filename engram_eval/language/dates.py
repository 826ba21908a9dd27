"""Dates in text: the one place that reads them, for temporal anchors, for the reader, for the judge.

A date is a span of days, both ends included. What is said relative to a day needs to know it (`said_on`); without it only
absolute dates are found. The rules, for something said on Thursday 25 May 2023:

    7 May 2023, May 7th, 2023-05-07        that day; without a year the nearest such day, of what is to come the next
    5/7/2023                               month first, unless only day first makes a date
    7-9 May 2023, May 7 to 9               those three days
    on the 15th                            the last such day before; with a word of the future, the next one
    June 2023, 2022, summer 2022           the month, the year, the season (June to August)
    in June, in August                     the last one begun; with a word of the future, the next one
    early / mid / late June 2023           the first ten days, the second ten, the rest; of a year, four months each
    the week / weekend / month before X    the seven days, the Saturday and Sunday, the calendar month before X; also "after"
    two weeks before X, two weekends ...   as "two weeks ago" said on X
    the Sunday before X                    the last such day before X
    the week of X                          the week that X falls in, Monday to Sunday
    the first week of June 2023            days 1-7; second 8-14; third 15-21; fourth 22-28; last the last seven
    yesterday, tonight, last night         one day
    last Saturday, on Saturday             20 May: the last such day before; with a word of the future, the next one
    this Friday                            26 May: the one in the same week, Monday to Sunday; if that is over and a word
                                           of the future stands there, the one in the next
    last week, two weeks ago               18-24 May; 11-17 May: seven days that end yesterday, a week before that
    this week, next week                   22-28 May, Monday to Sunday; 26 May to 1 June: seven days from tomorrow
    last weekend, over the weekend         20-21 May: the last Saturday and Sunday before
    three days ago, in two days            22 May; 27 May; "in" only if the clause does not tell of the past
    last month, two months ago             April 2023; March 2023
    last year, ten years ago, a decade ago 2022; 2013
    a couple of ..., a few ...             two; two to four
    the other day, recently, on Sundays    not a date

A word of the future is `will`, `going to`, `planning` and the like in the same sentence before the phrase (or just after
it, if it opens the sentence), or a present form: "I'm meeting her on Friday", "the game is on Friday".
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from engram_eval.language.calendar_spans import (
    LAST_SEASON,
    ONE_DAY,
    SEASONS,
    CalendarSpan,
    month_end,
    month_start,
    months_from,
    season,
    third_of,
    third_of_year,
    unit_from,
    week_of,
    weekday_after,
    weekday_before,
)


@dataclass(frozen=True, slots=True)
class DateSpan:
    """A phrase and the days it means, `start` to `end` inclusive. `text` is `position` cut out of the text searched."""

    start: date
    end: date
    text: str
    position: tuple[int, int]
    relative: bool


_MONTHS = {name.lower(): i for i, name in enumerate(calendar.month_name) if i}
_MONTHS |= {name[:3]: i for name, i in _MONTHS.items()} | {"sept": 9}
_WEEKDAYS = {name.lower(): i for i, name in enumerate(calendar.day_name)}
_WEEKDAYS |= {name[:3]: i for name, i in _WEEKDAYS.items()} | {"tues": 1, "thur": 3, "thurs": 3}
_NUMBERS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "couple": 2, "few": 3,
}  # fmt: skip
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
_THIRDS = {"early": 0, "beginning": 0, "start": 0, "mid": 1, "middle": 1, "late": 2, "end": 2}
# Words of their own unless they begin with a capital or a day or a year stands with them: "it may", "we march".
_ALSO_WORDS = frozenset(("may", "march", "mar", "sat", "sun"))


def _one_of(names: Iterable[str]) -> str:
    return "(?:" + "|".join(sorted(names, key=len, reverse=True)) + ")"


_MONTH = _one_of(_MONTHS) + r"\b\.?"
_WEEKDAY = _one_of(_WEEKDAYS) + r"\b"
_SEASON = _one_of(SEASONS) + r"\b"
_NUMBER = r"(?:\d{1,3}|(?:a\s+)?(?:couple|few)(?:\s+of)?|" + _one_of(_NUMBERS.keys() - {"couple", "few"}) + ")"
_YEAR = r"(?:19|20)\d\d"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_TH = r"(?:st|nd|rd|th)?"
_TO = r"\s*(?:-|–|to|and)\s*"
_AND_YEAR = r"(?:(?:,\s*|\.\s*|\s+|\s+of\s+)(?P<{0}>" + _YEAR + r")\b)"

# A date that needs no other: what the "before" of "the week before ..." can stand before.
_ABSOLUTE = (
    r"(?:(?P<iso_y@>\d{4})[-/](?P<iso_m@>\d{1,2})[-/](?P<iso_d@>\d{1,2})(?!\d)"
    r"|(?P<us_m@>\d{1,2})/(?P<us_d@>\d{1,2})/(?P<us_y@>\d{4})(?![\d/])"
    rf"|(?P<dm_d@>{_DAY}){_TH}(?:{_TO}(?P<dm_e@>{_DAY}){_TH})?\s*(?:of\s+)?(?P<dm_m@>{_MONTH}){_AND_YEAR.format('dm_y@')}?"
    rf"|(?P<md_m@>{_MONTH})\s+(?P<md_d@>{_DAY})(?:(?P<md_th@>st|nd|rd|th)|(?![\w:/]|\.\d|\s*(?:[ap]\.?m)\b))"
    rf"(?:\s*(?:-|–|to)\s*(?P<md_e@>{_DAY}){_TH}(?![\w:/]))?{_AND_YEAR.format('md_y@')}?"
    rf"|(?P<my_m@>{_MONTH}){_AND_YEAR.format('my_y@')})"
)
_PATTERN = re.compile(
    r"(?<![\w$€£])(?<!\d[.,/-])(?:"
    rf"(?:the\s+)?(?:(?P<rel_n>{_NUMBER})\s+)?(?P<unit>day|weekend|week|month|year|{_WEEKDAY})s?"
    rf"\s+(?P<relation>before|after|of|following|prior\s+to)\s+{_ABSOLUTE.replace('@', '_r')}"
    rf"|(?:the\s+)?(?P<ordinal>first|second|third|fourth|last)\s+(?P<part>weekend|week)\s+(?:of|in)\s+(?P<om>{_MONTH}){_AND_YEAR.format('oy')}?"
    rf"|(?:the\s+)?(?P<third>{_one_of(_THIRDS)})(?:[\s-]+|\s+of\s+|\s+in\s+)(?:(?P<tm>{_MONTH}){_AND_YEAR.format('ty')}?|(?P<third_y>{_YEAR})\b)"
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
# Most sentences name no time: a few plain look-ups tell so, before the grammar is tried at every word.
_SIGNS = ("day", "week", "month", "year", "last night", "tonight", "tomorrow", "this morning", "this afternoon", "this evening",
          "decade", "last s", "this s", "next s", "last fall", "next fall", "last winter", "this winter", "next winter",
          "last autumn", "this autumn", "next autumn")  # fmt: skip
_DIGIT = re.compile("[0-9]")
_SHORT_SIGNS = tuple(before + name[:3] for name in sorted(_MONTHS | _WEEKDAYS) if len(name) == 3 for before in " -")
_SHORT_SIGN = re.compile(
    r"\b(?:in|during|since|by|until|last|this|next|coming|previous|past|on|early|mid|late|of)[\s-]+"
    rf"(?:{_MONTH}|{_WEEKDAY})"
)
_ASCII_LOWER = str.maketrans({chr(i): chr(i + 32) for i in range(ord("A"), ord("Z") + 1)})
_FUTURE = re.compile(
    r"\b(?:will|shall|going\s+to|gonna|upcoming|plan|plans|planning|planned|can't\s+wait|looking\s+forward|scheduled)\b|'ll\b"
)
_PRESENT = re.compile(  # of the future too, if nothing is in the past: "I'm seeing her", "the game is", "I have a test"
    r"(?:'m|'re|\bam|\bare)\s+(?:\w+ly\s+)?\w+ing\b|(?:\bis|\bare|'s)\s*$|\bhave\s+(?:a|an|my|our|another)\b"
)
_PAST = re.compile(
    r"\b(?:\w{2,}ed|was|were|did|had|got|made|took|went|came|ran|read|wrote|won|lost|built|grew|sold|learnt|saw|been)\b"
)


def find_dates(text: str, *, said_on: date | None) -> list[DateSpan]:
    """The dates in a text in order, not overlapping. A phrase whose days do not exist (31 June, year 0) is passed over."""
    lower = text.lower()
    if not _may_name_a_time(lower):
        return []
    if len(lower) != len(text):  # a letter whose lower case is two characters would shift every position after it
        lower = text.translate(_ASCII_LOWER)
    lower = lower.replace("’", "'")
    spans = []
    for match in _PATTERN.finditer(lower):
        groups = {key: value for key, value in match.groupdict().items() if value}
        if _is_plain_word(match, groups, text):
            continue
        try:
            found = _resolve(groups, said_on, _Sentence(lower, match))
        except (ValueError, OverflowError, IndexError):
            continue
        if found:
            (start, end), relative = found
            phrase = text[match.start() : match.end()].rstrip(".")
            spans.append(DateSpan(start, end, phrase, (match.start(), match.start() + len(phrase)), relative))
    return spans


def _may_name_a_time(lower: str) -> bool:
    if _DIGIT.search(lower) or any(map(lower.__contains__, _SIGNS)):
        return True
    return any(map(lower.__contains__, _SHORT_SIGNS)) and _SHORT_SIGN.search(lower) is not None


def format_span(span: DateSpan) -> str:
    """`20 May 2023`, `early May 2023`, `May 2023`, `summer 2022`, `2022`, `the week before 25 May 2023`, `the weekend of
    20 May 2023`; what is none of these by its first and last day."""
    start, end = span.start, span.end
    if start == end:
        return _day(start)
    if (start.day, end) == (1, month_end(start)):
        return f"{start:%B} {start.year}"
    for third, name in enumerate(("early", "mid", "late")):
        if (start, end) == third_of((month_start(start), month_end(start)), third):
            return f"{name} {start:%B} {start.year}"
        if (start, end) == third_of_year(start.year, third):
            return f"{name} {start.year}"
    for name, first_month in SEASONS.items():
        if (start.day, start.month) == (1, first_month) and start < LAST_SEASON and end == season(start)[1]:
            return f"{name} {start.year}"
    if (start.month, start.day, end.month, end.day) == (1, 1, 12, 31):
        return str(start.year) if start.year == end.year else f"{start.year} to {end.year}"
    if (end - start).days == 6:
        return (
            f"the week of {_day(start)}"
            if start.weekday() == 0 or end == date.max
            else f"the week before {_day(end + ONE_DAY)}"
        )
    if (end - start).days == 1 and start.weekday() == 5:
        return f"the weekend of {_day(start)}"
    return f"{_day(start)} to {_day(end)}"


def _day(day: date) -> str:
    return f"{day.day} {day:%B} {day.year}"


def _is_plain_word(match: re.Match[str], g: dict[str, str], text: str) -> bool:
    """`it may`, `march on`, `in the sun`: a name of a month or a weekday that is a word, in small letters and with no year."""
    for key in ("md_m", "dm_m", "month", "tm", "weekday"):
        if g.get(key, "").rstrip(".") in _ALSO_WORDS and text[match.start(key)].islower():
            if key == "md_m":  # "on may 3", "may 3rd", "may 3, 2023" but not "you may 3 times"
                before = text[: match.start()].rstrip().lower()
                return not ("md_th" in g or "md_y" in g or before.endswith((" on", " by", " since", " until", " from")))
            if key == "month":
                return g["which_month"] not in ("in", "during", "since", "until")
            return key == "weekday" or not {"dm_y", "ty"} & g.keys()
    return False


class _Sentence:
    """The tense of the sentence that a match stands in."""

    def __init__(self, text: str, match: re.Match[str]) -> None:
        self._before = re.split(r"[.!?;\n]", text[max(0, match.start() - 120) : match.start()])[-1]
        self._after = re.split(r"[.!?;\n]", text[match.end() : match.end() + 40])[0]

    def future(self) -> bool:
        if _FUTURE.search(self._before):
            return True
        opens = len(self._before.split()) <= 2 and not _PAST.search(self._before)
        told = self._before + " " + self._after if opens else self._before
        return (opens and bool(_FUTURE.search(self._after))) or bool(_PRESENT.search(told) and not _PAST.search(told))

    def past(self) -> bool:
        return bool(_PAST.search(self._before)) and not self.future()


def _resolve(g: dict[str, str], said_on: date | None, sentence: _Sentence) -> tuple[CalendarSpan, bool] | None:
    """The days that the matched groups mean, and whether they depend on `said_on`; None if they are none or it is unknown."""
    if "unit" in g:
        anchor = _read_absolute(g, "_r", said_on, sentence)
        if not anchor:
            return None
        return _related(g["unit"], g.get("rel_n"), g["relation"], anchor), False
    if "ordinal" in g:
        month = _month_span(g["om"], _year(g, "oy"), said_on, sentence)
        return (week_of(month, _ORDINALS[g["ordinal"]], g["part"]), "oy" not in g) if month else None
    if "third_y" in g:
        return third_of_year(int(g["third_y"]), _THIRDS[g["third"]]), False
    if "third" in g:
        month = _month_span(g["tm"], _year(g, "ty"), said_on, sentence)
        return (third_of(month, _THIRDS[g["third"]]), "ty" not in g) if month else None
    for form in ("iso_d", "us_d", "dm_d", "md_d", "my_m"):
        if form in g:
            days = _read_absolute(g, "", said_on, sentence)
            return (days, False) if days else None
    if "season_y" in g:
        return season(date(int(g["season_y"]), SEASONS[g["season"]], 1)), False
    if "year" in g:
        return (date(int(g["year"]), 1, 1), date(int(g["year"]), 12, 31)), False
    days = _relative(g, said_on, sentence) if said_on else None
    return (days, True) if days else None


def _year(g: dict[str, str], key: str) -> int | None:
    return int(g[key]) if key in g else None


def _month_number(name: str) -> int:
    return _MONTHS[name.rstrip(".")]


def _read_absolute(g: dict[str, str], n: str, said_on: date | None, sentence: _Sentence) -> CalendarSpan | None:
    if f"iso_d{n}" in g:
        day = date(int(g[f"iso_y{n}"]), int(g[f"iso_m{n}"]), int(g[f"iso_d{n}"]))
        return day, day
    if f"us_d{n}" in g:
        month, number, year = int(g[f"us_m{n}"]), int(g[f"us_d{n}"]), int(g[f"us_y{n}"])
        day = date(year, month, number) if month <= 12 else date(year, number, month)
        return day, day
    if f"my_m{n}" in g:
        first = date(int(g[f"my_y{n}"]), _month_number(g[f"my_m{n}"]), 1)
        return first, month_end(first)
    form = "dm" if f"dm_d{n}" in g else "md"
    month, number = _month_number(g[f"{form}_m{n}"]), int(g[f"{form}_d{n}"])
    written = _year(g, f"{form}_y{n}")
    if written is None and said_on is None:
        return None
    day = date(written, month, number) if written else _nearest(month, number, said_on or date.max, sentence)
    if f"{form}_e{n}" not in g:
        return day, day
    other = day.replace(day=int(g[f"{form}_e{n}"]))
    return min(day, other), max(day, other)


def _nearest(month: int, number: int, said_on: date, sentence: _Sentence) -> date:
    """The day of a month nearest to `said_on`; of what is to come, the next. 29 February may be four years off, or eight."""
    years = range(max(1, said_on.year - 8), min(9999, said_on.year + 8) + 1)
    days = [date(y, month, number) for y in years if number <= calendar.monthrange(y, month)[1]]
    if sentence.future():
        days = [day for day in days if day >= said_on]
    return min(days, key=lambda day: abs(day - said_on))  # of none a ValueError: there is no such day


def _related(unit: str, number: str | None, relation: str, anchor: CalendarSpan) -> CalendarSpan:
    """`the week before 9 June`, `two weeks before it`, `the Sunday after it`, `the weekend of it`."""
    start, end = anchor
    after = relation in ("after", "following")
    if unit in _WEEKDAYS:
        day = weekday_after(end, _WEEKDAYS[unit]) if after else weekday_before(start, _WEEKDAYS[unit])
        return day, day
    if number and relation != "of":
        return _counted(number, unit, 1 if after else -1, end if after else start)
    if unit == "day":
        day = start if relation == "of" else end + ONE_DAY if after else start - ONE_DAY
        return day, day
    if unit == "weekend":
        if relation == "of":
            saturday = start - timedelta(days=start.weekday() - 5) if start.weekday() >= 5 else weekday_after(start, 5)
        else:
            saturday = weekday_after(end, 5) if after else weekday_before(start - ONE_DAY, 5)
        return saturday, saturday + ONE_DAY
    if unit in ("month", "year"):
        months = (1 if unit == "month" else 12) * (0 if relation == "of" else 1 if after else -1)
        first = months_from(start, months)
        return (first, month_end(first)) if unit == "month" else (date(first.year, 1, 1), date(first.year, 12, 31))
    if relation == "of":
        monday = start - timedelta(days=start.weekday())
        return monday, monday + timedelta(days=6)
    return (end + ONE_DAY, end + timedelta(days=7)) if after else (start - timedelta(days=7), start - ONE_DAY)


def _relative(g: dict[str, str], said_on: date, sentence: _Sentence) -> CalendarSpan | None:
    if "day_word" in g:
        return _day_word(" ".join(g["day_word"].split()), said_on)
    if "weekday" in g:
        day = _weekday_from(" ".join(g["which"].split()), _WEEKDAYS[g["weekday"]], said_on, sentence)
        return day, day
    if "span" in g:
        return unit_from(
            g["span"], {"this": 0, "next": 1, "coming": 1}.get(" ".join(g["which_unit"].split()), -1), said_on
        )
    if "the_weekend" in g:
        return unit_from("weekend", 0 if sentence.future() or said_on.weekday() == 6 else -1, said_on)
    if "month" in g:
        return _named_month(g["which_month"], _month_number(g["month"]), said_on, sentence)
    if "nth" in g:
        return _nth(int(g["nth"]), said_on, sentence)
    if "half" in g:
        first = months_from(said_on, -6)
        return first, month_end(first)
    if "ago_unit" in g:
        return _counted(g["n"], g["ago_unit"], -1, said_on)
    if "from_unit" in g:
        return _counted(g["from_n"], g["from_unit"], 1, said_on)
    # "I wrote it in two weeks" tells how long it took.
    return None if sentence.past() else _counted(g["in_n"], g["in_unit"], 1, said_on)


def _weekday_from(which: str, weekday: int, said_on: date, sentence: _Sentence) -> date:
    if which == "this":
        day = said_on + timedelta(days=weekday - said_on.weekday())
        return day + timedelta(days=7) if day < said_on and sentence.future() else day
    if which in ("next", "coming", "this coming") or (which == "on" and sentence.future()):
        return weekday_after(said_on, weekday)
    return weekday_before(said_on, weekday)


def _nth(number: int, said_on: date, sentence: _Sentence) -> CalendarSpan | None:
    """`on the 15th`: of this month or of one of the two before, or after: one of two months in a row has 31 days."""
    future = sentence.future()
    for step in range(3):
        first = months_from(said_on, step if future else -step)
        if number <= month_end(first).day:
            day = first.replace(day=number)
            if (day >= said_on) if future else (day <= said_on):
                return day, day
    return None


def _day_word(word: str, said_on: date) -> CalendarSpan:
    shifts = {"yesterday": -1, "last night": -1, "tomorrow": 1}
    shift = -2 if "before" in word else 2 if "after tomorrow" in word else shifts.get(word, 0)
    day = said_on + timedelta(days=shift)
    return day, day


def _named_month(which: str, month: int, said_on: date, sentence: _Sentence) -> CalendarSpan:
    if which == "this":
        year = said_on.year
    elif which == "next" or (which != "last" and sentence.future()):
        year = said_on.year + (month < said_on.month or (which == "next" and month == said_on.month))
    else:
        year = said_on.year - (month > said_on.month or (which == "last" and month == said_on.month))
    first = date(year, month, 1)
    return first, month_end(first)


def _month_span(name: str, year: int | None, said_on: date | None, sentence: _Sentence) -> CalendarSpan | None:
    if year is not None:
        return date(year, _month_number(name), 1), month_end(date(year, _month_number(name), 1))
    return _named_month("in", _month_number(name), said_on, sentence) if said_on else None


def _counted(number: str, unit: str, direction: int, said_on: date) -> CalendarSpan:
    """`three weeks ago` (direction -1) or `in three weeks` (1). Of "a few", two to four are taken together."""
    word = number.split()
    few = "few" in word
    n = int(word[0]) if word[0].isdecimal() else next(_NUMBERS[w] for w in reversed(word) if w in _NUMBERS)
    near, far = _count(2 if few else n, unit, direction, said_on), _count(4 if few else n, unit, direction, said_on)
    return min(near[0], far[0]), max(near[1], far[1])


def _count(n: int, unit: str, direction: int, said_on: date) -> CalendarSpan:
    if unit == "day":
        day = said_on + timedelta(days=direction * n)
        return day, day
    if unit in ("week", "weekend"):
        start, end = unit_from(unit, direction, said_on)
        shift = timedelta(days=direction * 7 * (n - 1))
        return start + shift, end + shift
    if unit == "month":
        first = months_from(said_on, direction * n)
        return first, month_end(first)
    year = said_on.year + direction * n * (10 if unit == "decade" else 1)
    return date(year, 1, 1), date(year, 12, 31)
