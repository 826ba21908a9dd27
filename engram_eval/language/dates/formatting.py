"""A span of days as a phrase."""

from __future__ import annotations

from datetime import date

from engram_eval.language.dates.calendar_spans import (
    LAST_SEASON,
    ONE_DAY,
    SEASONS,
    month_end,
    month_start,
    season,
    third_of,
    third_of_year,
)
from engram_eval.language.dates.span import DateSpan


def format_span(span: DateSpan) -> str:
    """A span as people write it: `20 May 2023`, `early May 2023`, `May 2023`, `summer 2022`, `2022`, `the week before
    25 May 2023`, `the weekend of 20 May 2023`. Any other span is written as its first and last day."""
    start, end = span.start, span.end
    if start == end:
        return _format_day(start)
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
            f"the week of {_format_day(start)}"
            if start.weekday() == 0 or end == date.max
            else f"the week before {_format_day(end + ONE_DAY)}"
        )
    if (end - start).days == 1 and start.weekday() == 5:
        return f"the weekend of {_format_day(start)}"
    return f"{_format_day(start)} to {_format_day(end)}"


def _format_day(day: date) -> str:
    return f"{day.day} {day:%B} {day.year}"
