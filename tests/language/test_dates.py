"""Dates in text: every rule in the package's docstring, phrases that are not dates, and robustness to any text and day."""

from __future__ import annotations

import calendar
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_eval.language.dates import DateSpan, find_dates, format_span
from tests.work import calls_made

SAID_ON = date(2023, 5, 25)  # a Thursday


def day(text: str) -> tuple[date, date]:
    return date.fromisoformat(text), date.fromisoformat(text)


def days(start: str, end: str) -> tuple[date, date]:
    return date.fromisoformat(start), date.fromisoformat(end)


def spans(text: str, said_on: date | None = SAID_ON) -> list[tuple[date, date]]:
    return [(span.start, span.end) for span in find_dates(text, said_on=said_on)]


ABSOLUTE = {
    "7 May 2023": day("2023-05-07"),
    "7th of May, 2023": day("2023-05-07"),
    "May 7th, 2023": day("2023-05-07"),
    "May 7 2023": day("2023-05-07"),
    "7 may 2023": day("2023-05-07"),
    "Sept. 3, 2022": day("2022-09-03"),
    "2023-05-07": day("2023-05-07"),
    "2023/05/30": day("2023-05-30"),
    "2023/05/20 (Sat) 02:21": day("2023-05-20"),
    "1:56 pm on 8 May, 2023": day("2023-05-08"),
    "5/7/2023": day("2023-05-07"),
    "25/12/2022": day("2022-12-25"),
    "14September, 2022": day("2022-09-14"),
    "29 February 2024": day("2024-02-29"),
    "May 7-9, 2023": days("2023-05-07", "2023-05-09"),
    "7 to 9 May 2023": days("2023-05-07", "2023-05-09"),
    "in June 2023": days("2023-06-01", "2023-06-30"),
    "Feb 2024": days("2024-02-01", "2024-02-29"),
    "back in 2022": days("2022-01-01", "2022-12-31"),
    "June 2023": days("2023-06-01", "2023-06-30"),
    "April.2023": days("2023-04-01", "2023-04-30"),
    "February 2024": days("2024-02-01", "2024-02-29"),
    "2022": days("2022-01-01", "2022-12-31"),
    "summer 2022": days("2022-06-01", "2022-08-31"),
    "winter of 2022": days("2022-12-01", "2023-02-28"),
    "early August 2023": days("2023-08-01", "2023-08-10"),
    "mid-June 2023": days("2023-06-11", "2023-06-20"),
    "the end of February 2024": days("2024-02-21", "2024-02-29"),
    "late 2022": days("2022-09-01", "2022-12-31"),
    "the week before 9 June 2023": days("2023-06-02", "2023-06-08"),
    "the week of 23 August 2023": days("2023-08-21", "2023-08-27"),
    "the Sunday before 25 May 2023": day("2023-05-21"),
    "The sunday before 3 January 2023": day("2023-01-01"),
    "the Tuesday after 1 August 2023": day("2023-08-08"),
    "the day after 31 December 2022": day("2023-01-01"),
    "the weekend of 15 July 2023": days("2023-07-15", "2023-07-16"),
    "the weekend before 17 July 2023": days("2023-07-15", "2023-07-16"),
    "two weekends before 17 July 2023": days("2023-07-08", "2023-07-09"),
    "two weeks before 11 August 2023": days("2023-07-28", "2023-08-03"),
    "a few days before 24 August 2022": days("2022-08-20", "2022-08-22"),
    "three years before 23 January 2022": days("2019-01-01", "2019-12-31"),
    "the week after 9 June 2023": days("2023-06-10", "2023-06-16"),
    "the month before 9 June 2023": days("2023-05-01", "2023-05-31"),
    "the first week of June 2023": days("2023-06-01", "2023-06-07"),
    "the last week of September 2023": days("2023-09-24", "2023-09-30"),
    "first weekend of August 2023": days("2023-08-05", "2023-08-06"),
}
RELATIVE = {
    "today": day("2023-05-25"),
    "tonight": day("2023-05-25"),
    "this morning": day("2023-05-25"),
    "yesterday": day("2023-05-24"),
    "last night": day("2023-05-24"),
    "the day before yesterday": day("2023-05-23"),
    "tomorrow": day("2023-05-26"),
    "the day after tomorrow": day("2023-05-27"),
    "last Saturday": day("2023-05-20"),
    "last Thursday": day("2023-05-18"),
    "last Fri": day("2023-05-19"),
    "this past Sunday": day("2023-05-21"),
    "on Sunday": day("2023-05-21"),
    "this Friday": day("2023-05-26"),
    "next Tuesday": day("2023-05-30"),
    "last week": days("2023-05-18", "2023-05-24"),
    "this week": days("2023-05-22", "2023-05-28"),
    "next week": days("2023-05-26", "2023-06-01"),
    "last weekend": days("2023-05-20", "2023-05-21"),
    "over the weekend": days("2023-05-20", "2023-05-21"),
    "next weekend": days("2023-06-03", "2023-06-04"),
    "last month": days("2023-04-01", "2023-04-30"),
    "next month": days("2023-06-01", "2023-06-30"),
    "last year": days("2022-01-01", "2022-12-31"),
    "this year": days("2023-01-01", "2023-12-31"),
    "next year": days("2024-01-01", "2024-12-31"),
    "last summer": days("2022-06-01", "2022-08-31"),
    "next summer": days("2023-06-01", "2023-08-31"),
    "two days ago": day("2023-05-23"),
    "a week ago": days("2023-05-18", "2023-05-24"),
    "three weeks ago": days("2023-05-04", "2023-05-10"),
    "two weekends ago": days("2023-05-13", "2023-05-14"),
    "a couple of months ago": days("2023-03-01", "2023-03-31"),
    "a few months ago": days("2023-01-01", "2023-03-31"),
    "half a year ago": days("2022-11-01", "2022-11-30"),
    "few years ago": days("2019-01-01", "2021-12-31"),
    "10 years ago": days("2013-01-01", "2013-12-31"),
    "a decade ago": days("2013-01-01", "2013-12-31"),
    "two years back": days("2021-01-01", "2021-12-31"),
    "three months from now": days("2023-08-01", "2023-08-31"),
    "March 15th": day("2023-03-15"),
    "7 May": day("2023-05-07"),
    "on the 15th": day("2023-05-15"),
    "on the 30th": day("2023-04-30"),
    "in April": days("2023-04-01", "2023-04-30"),
    "in June": days("2022-06-01", "2022-06-30"),
    "last August": days("2022-08-01", "2022-08-31"),
    "late August": days("2022-08-21", "2022-08-31"),
}


@pytest.mark.parametrize(("phrase", "expected"), ABSOLUTE.items())
def test_absolute_dates_do_not_depend_on_the_day_they_were_said(phrase: str, expected: tuple[date, date]) -> None:
    for said_on in (None, SAID_ON):
        (span,) = find_dates(f"We met ({phrase}), you know.", said_on=said_on)
        assert (span.start, span.end, span.relative) == (*expected, False)


@pytest.mark.parametrize(("phrase", "expected"), RELATIVE.items())
def test_relative_dates_are_resolved_against_the_day_they_were_said(phrase: str, expected: tuple[date, date]) -> None:
    text = f"We met {phrase}, you know."
    assert spans(text) == [expected]
    assert spans(text, None) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'll see her on Sunday.", day("2023-05-28")),
        ("The game is on Sunday.", day("2023-05-28")),
        ("We're going to Spain in June.", days("2023-06-01", "2023-06-30")),
        ("On Sunday I'll see her.", day("2023-05-28")),
        ("I went on Sunday and I'll go again.", day("2023-05-21")),
        ("The party will be on the 3rd.", day("2023-06-03")),
        ("We're moving on 3 January.", day("2024-01-03")),
        ("She left on 30 December.", day("2022-12-30")),
        ("I will meet him in June.", days("2023-06-01", "2023-06-30")),
        ("I'll be back in three weeks.", days("2023-06-09", "2023-06-15")),
        ("My exam is in two weeks.", days("2023-06-02", "2023-06-08")),
        ("This Monday I ran.", day("2023-05-22")),
        ("We will run this Monday.", day("2023-05-29")),
    ],
)
def test_a_sentence_about_the_future_means_the_next_such_day(text: str, expected: tuple[date, date]) -> None:
    assert spans(text)[0] == expected


@pytest.mark.parametrize(
    ("text", "said_on", "expected"),
    [
        ("I ran last Saturday.", date(2023, 1, 1), day("2022-12-31")),
        ("I ran yesterday.", date(2023, 1, 1), day("2022-12-31")),
        ("I ran yesterday.", date(2024, 3, 1), day("2024-02-29")),
        ("I ran last month.", date(2023, 1, 15), days("2022-12-01", "2022-12-31")),
        ("I ran two months ago.", date(2023, 1, 31), days("2022-11-01", "2022-11-30")),
        ("I'll run next month.", date(2023, 12, 31), days("2024-01-01", "2024-01-31")),
        ("I ran last weekend.", date(2023, 5, 28), days("2023-05-20", "2023-05-21")),
        ("I run this weekend.", date(2023, 5, 28), days("2023-05-27", "2023-05-28")),
        ("I ran on the 31st.", date(2023, 3, 2), day("2023-01-31")),
        ("I was born on 29 February.", date(2023, 3, 2), day("2024-02-29")),
    ],
)
def test_year_ends_and_leap_years(text: str, said_on: date, expected: tuple[date, date]) -> None:
    assert spans(text, said_on) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "May I come?", "It may rain.", "This may be it, and we march on.", "You may 20 times over.", "A second, please.",
        "I love the sun and the sea.", "on sun and sand", "What a summer dress!", "I saw her the other day.",
        "Recently I moved.", "I swim on Sundays.",
        "31 June 2023", "2023-13-40", "30 February 2023", "It costs $2022.", "I walked 2000 steps.",
        "I read it in two weeks.", "We met at 12:30.", "the 1990s", "for three weeks", "over the last 3 days",
        "", "April is my friend.",
    ],
)  # fmt: skip
def test_phrases_that_are_not_dates_are_not_found(text: str) -> None:
    assert spans(text) == []


def test_phrases_are_parts_of_the_text_in_order() -> None:
    text = "İstanbul — I went there on 7 May 2023 and, last Friday, again."
    first, second = find_dates(text, said_on=SAID_ON)
    assert (first.text, first.relative) == ("7 May 2023", False)
    assert (second.text, second.relative) == ("last Friday", True)
    assert [text[slice(*span.position)] for span in (first, second)] == [first.text, second.text]


def test_a_weekday_before_a_date_is_part_of_the_date() -> None:
    assert spans("We met on Sunday, 7 May 2023.") == [day("2023-05-07")]


@pytest.mark.parametrize(
    ("phrase", "form"),
    [
        ("last Saturday", "20 May 2023"),
        ("last month", "April 2023"),
        ("last year", "2022"),
        ("last week", "the week before 25 May 2023"),
        ("this week", "the week of 22 May 2023"),
        ("last weekend", "the weekend of 20 May 2023"),
        ("last summer", "summer 2022"),
        ("early June 2023", "early June 2023"),
        ("late 2022", "late 2022"),
        ("a few years ago", "2019 to 2021"),
        ("7-9 May 2023", "7 May 2023 to 9 May 2023"),
        ("winter of 2022", "winter 2022"),
    ],
)
def test_a_span_is_formatted_as_people_write_it(phrase: str, form: str) -> None:
    (span,) = find_dates(phrase, said_on=SAID_ON)
    assert format_span(span) == form


_PIECES = st.sampled_from(
    (
        "the two a few weeks week weekend before after of May march june 7 7th 31 29 February 2023 9999 0001 2024 - / , . ’ İ "
        "last next this Friday sat in on by ago month months years decade early end summer winter yesterday tomorrow from "
        "now will half 12/31/9999 0001-01-01 couple back"
    ).split()
)
_EDGES = st.sampled_from([date.min, date.max, date(1, 1, 5), date(9999, 12, 1), date(2024, 2, 29), date(2023, 12, 31)])
_DAYS = st.none() | st.dates() | _EDGES


@given(st.lists(_PIECES, max_size=12).map(" ".join) | st.text(), _DAYS)
def test_any_text_and_any_day_can_be_searched(text: str, said_on: date | None) -> None:
    end = 0
    for span in find_dates(text, said_on=said_on):
        assert end <= span.position[0] < span.position[1] <= len(text)
        assert text[slice(*span.position)] == span.text
        assert span.start <= span.end
        assert said_on is not None or not span.relative
        assert format_span(span)
        end = span.position[1]


@given(st.dates(min_value=date(1900, 1, 10), max_value=date(2099, 1, 1)), st.integers(0, 6))
def test_a_formatted_span_is_found_again(start: date, more: int) -> None:
    span = DateSpan(start, start + timedelta(days=more if more == 6 else 0), "", (0, 0), False)
    assert spans(format_span(span), None) == [(span.start, span.end)]


@given(st.dates(min_value=date(2, 1, 1), max_value=date(9998, 1, 1)), st.sampled_from(list(calendar.day_name)))
def test_last_and_next_weekday_are_within_a_week(said_on: date, weekday: str) -> None:
    ((last, _),) = spans(f"last {weekday}", said_on)
    ((coming, _),) = spans(f"next {weekday}", said_on)
    assert calendar.day_name[last.weekday()] == calendar.day_name[coming.weekday()] == weekday
    assert timedelta(0) < said_on - last <= timedelta(7) and timedelta(0) < coming - said_on <= timedelta(7)


def test_a_sentence_without_a_date_takes_hardly_any_work() -> None:
    text = "I think that is a wonderful idea, and I would love to join you sometime!"
    assert calls_made(lambda: find_dates(text, said_on=SAID_ON)) < 20  # with a date, some 250
