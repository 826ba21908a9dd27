"""Dates in text: what a phrase such as "last Saturday" or "early June 2023" means, as a span of days.

Temporal anchors, the offline reader and the offline judge all read dates with `find_dates`. A date is a span of days,
both ends included. A relative phrase can only be resolved if the day on which it was said (`said_on`) is known; without
that day only absolute dates are found. The rules, for a sentence said on Thursday 25 May 2023:

    7 May 2023, May 7th, 2023-05-07        that day; without a year, the nearest such day (the next one in the future)
    5/7/2023                               month first, unless only day first gives a valid date
    7-9 May 2023, May 7 to 9               those three days
    on the 15th                            the last such day before; in the future, the next one
    June 2023, 2022, summer 2022           the month, the year, the season (June to August)
    in June, in August                     the last one that has begun; in the future, the next one
    early / mid / late June 2023           days 1-10, days 11-20, the rest; of a year, four months each
    the week / weekend / month before X    the seven days, the Saturday and Sunday, the calendar month before X; also "after"
    two weeks before X, two weekends ...   like "two weeks ago" said on X
    the Sunday before X                    the last such day before X
    the week of X                          the week that contains X, Monday to Sunday
    the first week of June 2023            days 1-7; second 8-14; third 15-21; fourth 22-28; last: the last seven
    yesterday, tonight, last night         one day
    last Saturday, on Saturday             20 May: the last such day before; in the future, the next one
    this Friday                            26 May: the one in the same week, Monday to Sunday; if that day is past and the
                                           sentence is about the future, the one in the next week
    last week, two weeks ago               18-24 May; 11-17 May: seven days that end yesterday, or a week earlier
    this week, next week                   22-28 May, Monday to Sunday; 26 May to 1 June: seven days from tomorrow
    last weekend, over the weekend         20-21 May: the last Saturday and Sunday before
    three days ago, in two days            22 May; 27 May; "in" only if the clause is not about the past
    last month, two months ago             April 2023; March 2023
    last year, ten years ago, a decade ago 2022; 2013
    a couple of ..., a few ...             two; two to four
    the other day, recently, on Sundays    not a date

A sentence is about the future if `will`, `going to`, `planning` or the like comes before the phrase (or just after it, if
the phrase opens the sentence), or if a present form does: "I'm meeting her on Friday", "the game is on Friday".

Files, in the order in which a phrase passes through them: `grammar` (the patterns), `finding` (the search through a text),
`tense` (past or future?), `resolving` (from a phrase to days), `calendar_spans` (arithmetic with spans of days),
`formatting` (from a span back to a phrase).
"""

from engram_eval.language.dates.finding import find_dates
from engram_eval.language.dates.formatting import format_span
from engram_eval.language.dates.span import DateSpan

__all__ = ["DateSpan", "find_dates", "format_span"]
