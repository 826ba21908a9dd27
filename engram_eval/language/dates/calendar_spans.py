"""Arithmetic with spans of days: weeks, weekends, months and seasons around a day. A span includes both its ends."""

from __future__ import annotations

import calendar
from datetime import date, timedelta

CalendarSpan = tuple[date, date]

ONE_DAY = timedelta(days=1)
SEASONS = {"spring": 3, "summer": 6, "fall": 9, "autumn": 9, "winter": 12}  # the first month of three
LAST_SEASON = date(9999, 12, 1)  # the one winter whose end a `date` cannot hold


def unit_from(unit: str, step: int, said_on: date) -> CalendarSpan:
    """The last (-1), this (0) or the next (1) week, weekend, month, year or season, seen from the day `said_on`."""
    if unit == "week":
        if step == 0:
            monday = said_on - timedelta(days=said_on.weekday())
            return monday, monday + timedelta(days=6)
        start = said_on - timedelta(days=7) if step < 0 else said_on + ONE_DAY
        return start, start + timedelta(days=6)
    if unit == "weekend":
        # On a Saturday or Sunday, "this weekend" is the current one and "last weekend" the one before.
        days_since_saturday = said_on.weekday() - 5
        in_weekend = days_since_saturday >= 0
        saturday = said_on - timedelta(days=days_since_saturday) if in_weekend else weekday_after(said_on, 5)
        saturday += timedelta(days=7 * step)
        return saturday, saturday + ONE_DAY
    if unit == "month":
        first = months_from(said_on, step)
        return first, month_end(first)
    if unit == "year":
        return date(said_on.year + step, 1, 1), date(said_on.year + step, 12, 31)
    years = range(max(1, said_on.year - 2), min(9998, said_on.year + 2) + 1)
    spans = [season(date(year, SEASONS[unit], 1)) for year in years]
    if step < 0:
        return [span for span in spans if span[1] < said_on][-1]
    upcoming = [span for span in spans if span[1] >= said_on]
    return upcoming[1] if step > 0 and upcoming[0][0] <= said_on else upcoming[0]


def week_of(month: CalendarSpan, ordinal: int, part: str) -> CalendarSpan:
    """The first (1), second … or last (-1) week or weekend of a month. Weeks are counted from the first of the month."""
    first, last = month
    if part == "weekend":
        saturdays = [first + timedelta(days=i) for i in range(last.day) if (first + timedelta(days=i)).weekday() == 5]
        saturday = saturdays[ordinal - 1 if ordinal > 0 else -1]
        return saturday, saturday + ONE_DAY
    if ordinal < 0:
        return last - timedelta(days=6), last
    return first + timedelta(days=7 * (ordinal - 1)), first + timedelta(days=7 * ordinal - 1)


def third_of(month: CalendarSpan, third: int) -> CalendarSpan:
    """Early (0), mid (1) or late (2) in a month: the first ten days, the second ten, the rest."""
    first, last = month
    return first.replace(day=10 * third + 1), last if third == 2 else first.replace(day=10 * third + 10)


def third_of_year(year: int, third: int) -> CalendarSpan:
    """Early (0), mid (1) or late (2) in a year: four months each."""
    return date(year, 4 * third + 1, 1), month_end(date(year, 4 * third + 4, 1))


def season(first: date) -> CalendarSpan:
    """The three months that begin on `first`."""
    return first, month_end(months_from(first, 2))


def weekday_before(day: date, weekday: int) -> date:
    """The last day before `day` (never `day` itself) that is this weekday, 0 Monday to 6 Sunday."""
    return day - timedelta(days=(day.weekday() - weekday - 1) % 7 + 1)


def weekday_after(day: date, weekday: int) -> date:
    """The first day after `day` (never `day` itself) that is this weekday, 0 Monday to 6 Sunday."""
    return day + timedelta(days=(weekday - day.weekday() - 1) % 7 + 1)


def month_start(day: date) -> date:
    return day.replace(day=1)


def months_from(day: date, months: int) -> date:
    """The first of the month that is `months` months later (negative: earlier)."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def month_end(day: date) -> date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])
