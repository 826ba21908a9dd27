"""Finding the dates of a text."""

from __future__ import annotations

import re
from datetime import date

from engram_eval.language.dates.grammar import DATE_PHRASE, ORDINARY_WORDS, may_contain_date
from engram_eval.language.dates.resolving import resolve
from engram_eval.language.dates.span import DateSpan
from engram_eval.language.dates.tense import Sentence

_ASCII_LOWER = str.maketrans({chr(i): chr(i + 32) for i in range(ord("A"), ord("Z") + 1)})


def find_dates(text: str, *, said_on: date | None) -> list[DateSpan]:
    """The dates in a text, in order and not overlapping. Skips phrases whose days do not exist (31 June, year 0).

    `said_on` is the day on which the text was said; if it is None, relative phrases ("yesterday") are not found.
    """
    lower = text.lower()
    if not may_contain_date(lower):
        return []
    if len(lower) != len(text):  # some letter's lower case has two characters, which would shift every later position
        lower = text.translate(_ASCII_LOWER)
    lower = lower.replace("’", "'")
    spans = []
    for match in DATE_PHRASE.finditer(lower):
        groups = {name: value for name, value in match.groupdict().items() if value}
        if _is_ordinary_word(match, groups, text):
            continue
        try:
            resolved = resolve(groups, said_on, Sentence(lower, match))
        except (ValueError, OverflowError, IndexError):
            continue
        if resolved:
            (start, end), relative = resolved
            phrase = text[match.start() : match.end()].rstrip(".")
            spans.append(DateSpan(start, end, phrase, (match.start(), match.start() + len(phrase)), relative))
    return spans


def _is_ordinary_word(match: re.Match[str], groups: dict[str, str], text: str) -> bool:
    """`it may`, `march on`, `in the sun`: a month's or weekday's name that is a word here: in lower case, without a year."""
    for key in ("md_m", "dm_m", "month", "tm", "weekday"):
        if groups.get(key, "").rstrip(".") in ORDINARY_WORDS and text[match.start(key)].islower():
            if key == "md_m":  # "on may 3", "may 3rd", "may 3, 2023" but not "you may 3 times"
                before = text[: match.start()].rstrip().lower()
                is_date = "md_th" in groups or "md_y" in groups
                return not (is_date or before.endswith((" on", " by", " since", " until", " from")))
            if key == "month":
                return groups["which_month"] not in ("in", "during", "since", "until")
            return key == "weekday" or not {"dm_y", "ty"} & groups.keys()
    return False
