"""Dates as people say them: a phrase relative to the day it is spoken on, and the date it means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_COUNTS = {3: "three", 4: "four", 5: "five", 6: "six", 9: "nine", 10: "ten"}


@dataclass(frozen=True, slots=True)
class DatePhrase:
    """A spoken `phrase`, the first and the last day it can mean, and `gold`, the date as an answer key writes it."""

    phrase: str
    first: date
    last: date
    gold: str

    @property
    def exact(self) -> bool:
        return self.first == self.last


def day_text(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def past_date(rng: Random, spoken_on: date, *, within: int = 400, exact: bool = False) -> DatePhrase:
    """A phrase for a date up to about `within` days in the past; `exact` allows only phrases that mean a single day."""
    phrases: list[Callable[[Random, date], DatePhrase]] = [_yesterday, _days_ago, _weekday, _weekday, _day_of_month]
    if not exact:
        phrases += [_last_weekend, _last_week, _last_week]
        if within >= 20:
            phrases += [_two_weeks_ago, _two_weeks_ago]
        if within >= 62:
            phrases += [_last_month]
        if within >= 160:
            phrases += [_named_month]
    return rng.choice(phrases)(rng, spoken_on)


def future_date(rng: Random, spoken_on: date) -> DatePhrase:
    """A phrase for a date in the near future."""
    kind = rng.randrange(4)
    if kind == 0:
        return _single_day("tomorrow", spoken_on + timedelta(1))
    if kind == 1:
        day = spoken_on + timedelta(rng.randint(2, 6))
        return DatePhrase(f"this coming {WEEKDAYS[day.weekday()]}", day, day, day_text(day))
    if kind == 2:
        monday = spoken_on + timedelta(7 - spoken_on.weekday())
        return DatePhrase("next week", monday, monday + timedelta(6), f"The week after {day_text(spoken_on)}")
    first = _month_start(spoken_on, 1)
    return DatePhrase("next month", first, _month_start(spoken_on, 2) - timedelta(1), _month_text(first))


def _single_day(phrase: str, day: date) -> DatePhrase:
    return DatePhrase(phrase, day, day, day_text(day))


def _yesterday(rng: Random, spoken_on: date) -> DatePhrase:
    phrase, back = rng.choice((("yesterday", 1), ("yesterday", 1), ("the day before yesterday", 2)))
    return _single_day(phrase, spoken_on - timedelta(back))


def _days_ago(rng: Random, spoken_on: date) -> DatePhrase:
    count = rng.choice(sorted(_COUNTS))
    return _single_day(f"{_COUNTS[count]} days ago", spoken_on - timedelta(count))


def _weekday(rng: Random, spoken_on: date) -> DatePhrase:
    # At least three days back: on a Wednesday, "last Monday" could mean either of two days.
    day = spoken_on - timedelta(rng.randint(3, 6))
    name = WEEKDAYS[day.weekday()]
    gold = f"The {name} before {day_text(spoken_on)}" if rng.random() < 0.5 else day_text(day)
    return DatePhrase(rng.choice((f"last {name}", f"on {name}")), day, day, gold)


def _day_of_month(rng: Random, spoken_on: date) -> DatePhrase:
    if spoken_on.day < 6:
        return _weekday(rng, spoken_on)
    day = spoken_on.replace(day=rng.randint(max(1, spoken_on.day - 12), spoken_on.day - 3))
    return _single_day(f"on the {ordinal(day.day)}", day)


def _last_weekend(rng: Random, spoken_on: date) -> DatePhrase:
    if spoken_on.weekday() > 3:  # from Friday on, it could mean the weekend that is starting
        return _weekday(rng, spoken_on)
    saturday = spoken_on - timedelta(spoken_on.weekday() + 2)
    return DatePhrase("last weekend", saturday, saturday + timedelta(1), f"The weekend before {day_text(spoken_on)}")


def _last_week(rng: Random, spoken_on: date) -> DatePhrase:  # noqa: ARG001 (all phrase makers share one signature)
    monday = spoken_on - timedelta(spoken_on.weekday() + 7)
    return DatePhrase("last week", monday, monday + timedelta(6), f"The week before {day_text(spoken_on)}")


def _two_weeks_ago(rng: Random, spoken_on: date) -> DatePhrase:  # noqa: ARG001
    day = spoken_on - timedelta(14)
    return DatePhrase(
        "two weeks ago", day - timedelta(3), day + timedelta(3), f"Two weeks before {day_text(spoken_on)}"
    )


def _last_month(rng: Random, spoken_on: date) -> DatePhrase:  # noqa: ARG001
    first = _month_start(spoken_on, -1)
    return DatePhrase("last month", first, _month_start(spoken_on, 0) - timedelta(1), _month_text(first))


def _named_month(rng: Random, spoken_on: date) -> DatePhrase:
    back = rng.randint(2, 4)
    first = _month_start(spoken_on, -back)
    return DatePhrase(
        f"in {MONTHS[first.month - 1]}", first, _month_start(spoken_on, 1 - back) - timedelta(1), _month_text(first)
    )


def _month_start(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def _month_text(day: date) -> str:
    return f"{MONTHS[day.month - 1]} {day.year}"


def session_times(
    rng: Random, count: int, first: datetime, mean_gap: timedelta, *, daytime_only: bool
) -> list[datetime]:
    """Start times of `count` sessions in ascending order; see `next_time`."""
    times, time = [], first
    for _ in range(count):
        times.append(time)
        time = next_time(rng, time, mean_gap, daytime_only=daytime_only)
    return times


def next_time(rng: Random, time: datetime, mean_gap: timedelta, *, daytime_only: bool) -> datetime:
    """The start of the next session. `daytime_only` avoids the night, if sessions are more than three days apart."""
    later = time + max(timedelta(minutes=1), mean_gap * rng.uniform(0.4, 1.6))
    if daytime_only and mean_gap > timedelta(days=3):
        later = later.replace(hour=rng.randint(8, 22), minute=rng.randint(0, 59))
    return later.replace(second=0, microsecond=0) if later - time > timedelta(minutes=2) else later
