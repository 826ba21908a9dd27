"""From a matched phrase to the days it means.

`groups` holds the named groups of `grammar.DATE_PHRASE` that matched, in lower case.
"""

from __future__ import annotations

import calendar
from datetime import date, timedelta

from engram_eval.language.dates.calendar_spans import (
    ONE_DAY,
    SEASONS,
    CalendarSpan,
    month_end,
    months_from,
    season,
    third_of,
    third_of_year,
    unit_from,
    week_of,
    weekday_after,
    weekday_before,
)
from engram_eval.language.dates.grammar import MONTHS, NUMBERS, ORDINALS, THIRDS, WEEKDAYS
from engram_eval.language.dates.tense import Sentence


def resolve(groups: dict[str, str], said_on: date | None, sentence: Sentence) -> tuple[CalendarSpan, bool] | None:
    """The days that a phrase means, and whether they depend on `said_on`. None if they need `said_on` and it is None.

    Raises ValueError, OverflowError or IndexError if there are no such days.
    """
    if "unit" in groups:
        anchor = _resolve_absolute(groups, "_r", said_on, sentence)
        if not anchor:
            return None
        return _related_to(groups["unit"], groups.get("rel_n"), groups["relation"], anchor), False
    if "ordinal" in groups:
        month = _month_span(groups["om"], _year(groups, "oy"), said_on, sentence)
        return (week_of(month, ORDINALS[groups["ordinal"]], groups["part"]), "oy" not in groups) if month else None
    if "third_y" in groups:
        return third_of_year(int(groups["third_y"]), THIRDS[groups["third"]]), False
    if "third" in groups:
        month = _month_span(groups["tm"], _year(groups, "ty"), said_on, sentence)
        return (third_of(month, THIRDS[groups["third"]]), "ty" not in groups) if month else None
    for form in ("iso_d", "us_d", "dm_d", "md_d", "my_m"):
        if form in groups:
            days = _resolve_absolute(groups, "", said_on, sentence)
            return (days, False) if days else None
    if "season_y" in groups:
        return season(date(int(groups["season_y"]), SEASONS[groups["season"]], 1)), False
    if "year" in groups:
        return (date(int(groups["year"]), 1, 1), date(int(groups["year"]), 12, 31)), False
    days = _resolve_relative(groups, said_on, sentence) if said_on else None
    return (days, True) if days else None


def _year(groups: dict[str, str], key: str) -> int | None:
    return int(groups[key]) if key in groups else None


def _month_number(name: str) -> int:
    return MONTHS[name.rstrip(".")]


def _resolve_absolute(
    groups: dict[str, str], suffix: str, said_on: date | None, sentence: Sentence
) -> CalendarSpan | None:
    """`suffix` distinguishes the two uses of the absolute pattern: "" for a date, "_r" for the one after "the week before"."""
    if f"iso_d{suffix}" in groups:
        day = date(int(groups[f"iso_y{suffix}"]), int(groups[f"iso_m{suffix}"]), int(groups[f"iso_d{suffix}"]))
        return day, day
    if f"us_d{suffix}" in groups:
        month, number, year = int(groups[f"us_m{suffix}"]), int(groups[f"us_d{suffix}"]), int(groups[f"us_y{suffix}"])
        day = date(year, month, number) if month <= 12 else date(year, number, month)
        return day, day
    if f"my_m{suffix}" in groups:
        first = date(int(groups[f"my_y{suffix}"]), _month_number(groups[f"my_m{suffix}"]), 1)
        return first, month_end(first)
    form = "dm" if f"dm_d{suffix}" in groups else "md"
    month, number = _month_number(groups[f"{form}_m{suffix}"]), int(groups[f"{form}_d{suffix}"])
    written_year = _year(groups, f"{form}_y{suffix}")
    if written_year is None and said_on is None:
        return None
    day = (
        date(written_year, month, number)
        if written_year
        else _nearest_day(month, number, said_on or date.max, sentence)
    )
    if f"{form}_e{suffix}" not in groups:
        return day, day
    last_day = day.replace(day=int(groups[f"{form}_e{suffix}"]))
    return min(day, last_day), max(day, last_day)


def _nearest_day(month: int, number: int, said_on: date, sentence: Sentence) -> date:
    """The day of a month nearest to `said_on`; in a sentence about the future, the next one.

    29 February may be four years away, or eight.
    """
    years = range(max(1, said_on.year - 8), min(9999, said_on.year + 8) + 1)
    days = [date(y, month, number) for y in years if number <= calendar.monthrange(y, month)[1]]
    if sentence.is_future():
        days = [day for day in days if day >= said_on]
    return min(days, key=lambda day: abs(day - said_on))  # ValueError if the list is empty: there is no such day


def _related_to(unit: str, number: str | None, relation: str, anchor: CalendarSpan) -> CalendarSpan:
    """The days related to a date: `the week before 9 June`, `two weeks before …`, `the Sunday after …`, `the weekend of …`."""
    start, end = anchor
    after = relation in ("after", "following")
    if unit in WEEKDAYS:
        day = weekday_after(end, WEEKDAYS[unit]) if after else weekday_before(start, WEEKDAYS[unit])
        return day, day
    if number and relation != "of":
        return _counted_units(number, unit, 1 if after else -1, end if after else start)
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


def _resolve_relative(groups: dict[str, str], said_on: date, sentence: Sentence) -> CalendarSpan | None:
    if "day_word" in groups:
        return _named_day(" ".join(groups["day_word"].split()), said_on)
    if "weekday" in groups:
        day = _nearest_weekday(" ".join(groups["which"].split()), WEEKDAYS[groups["weekday"]], said_on, sentence)
        return day, day
    if "span" in groups:
        return unit_from(
            groups["span"], {"this": 0, "next": 1, "coming": 1}.get(" ".join(groups["which_unit"].split()), -1), said_on
        )
    if "the_weekend" in groups:
        return unit_from("weekend", 0 if sentence.is_future() or said_on.weekday() == 6 else -1, said_on)
    if "month" in groups:
        return _nearest_month(groups["which_month"], _month_number(groups["month"]), said_on, sentence)
    if "nth" in groups:
        return _day_of_month(int(groups["nth"]), said_on, sentence)
    if "half" in groups:
        first = months_from(said_on, -6)
        return first, month_end(first)
    if "ago_unit" in groups:
        return _counted_units(groups["n"], groups["ago_unit"], -1, said_on)
    if "from_unit" in groups:
        return _counted_units(groups["from_n"], groups["from_unit"], 1, said_on)
    # "I wrote it in two weeks" says how long it took, not when.
    return None if sentence.is_past() else _counted_units(groups["in_n"], groups["in_unit"], 1, said_on)


def _nearest_weekday(which: str, weekday: int, said_on: date, sentence: Sentence) -> date:
    if which == "this":
        day = said_on + timedelta(days=weekday - said_on.weekday())
        return day + timedelta(days=7) if day < said_on and sentence.is_future() else day
    if which in ("next", "coming", "this coming") or (which == "on" and sentence.is_future()):
        return weekday_after(said_on, weekday)
    return weekday_before(said_on, weekday)


def _day_of_month(number: int, said_on: date, sentence: Sentence) -> CalendarSpan | None:
    """`on the 15th`: of this month or of one of the two months before (in the future: after) it.

    Three months are enough: of any two consecutive months, one has 31 days.
    """
    future = sentence.is_future()
    for step in range(3):
        first = months_from(said_on, step if future else -step)
        if number <= month_end(first).day:
            day = first.replace(day=number)
            if (day >= said_on) if future else (day <= said_on):
                return day, day
    return None


def _named_day(word: str, said_on: date) -> CalendarSpan:
    shifts = {"yesterday": -1, "last night": -1, "tomorrow": 1}
    shift = -2 if "before" in word else 2 if "after tomorrow" in word else shifts.get(word, 0)
    day = said_on + timedelta(days=shift)
    return day, day


def _nearest_month(which: str, month: int, said_on: date, sentence: Sentence) -> CalendarSpan:
    if which == "this":
        year = said_on.year
    elif which == "next" or (which != "last" and sentence.is_future()):
        year = said_on.year + (month < said_on.month or (which == "next" and month == said_on.month))
    else:
        year = said_on.year - (month > said_on.month or (which == "last" and month == said_on.month))
    first = date(year, month, 1)
    return first, month_end(first)


def _month_span(name: str, year: int | None, said_on: date | None, sentence: Sentence) -> CalendarSpan | None:
    if year is not None:
        return date(year, _month_number(name), 1), month_end(date(year, _month_number(name), 1))
    return _nearest_month("in", _month_number(name), said_on, sentence) if said_on else None


def _counted_units(number: str, unit: str, direction: int, said_on: date) -> CalendarSpan:
    """`three weeks ago` (direction -1) or `in three weeks` (1). "A few" covers two to four."""
    words = number.split()
    if "few" in words:
        near, far = _units_away(2, unit, direction, said_on), _units_away(4, unit, direction, said_on)
        return min(near[0], far[0]), max(near[1], far[1])
    first = words[0]
    count = int(first) if first.isdecimal() else next(NUMBERS[word] for word in reversed(words) if word in NUMBERS)
    return _units_away(count, unit, direction, said_on)


def _units_away(count: int, unit: str, direction: int, said_on: date) -> CalendarSpan:
    if unit == "day":
        day = said_on + timedelta(days=direction * count)
        return day, day
    if unit in ("week", "weekend"):
        start, end = unit_from(unit, direction, said_on)
        shift = timedelta(days=direction * 7 * (count - 1))
        return start + shift, end + shift
    if unit == "month":
        first = months_from(said_on, direction * count)
        return first, month_end(first)
    year = said_on.year + direction * count * (10 if unit == "decade" else 1)
    return date(year, 1, 1), date(year, 12, 31)
