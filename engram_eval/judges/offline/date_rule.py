"""The rule for dates: how far apart are the gold's days and the answer's, and is the answer coarser?"""

from __future__ import annotations

import math
import re

from engram_eval.judges.offline.parsed_text import ParsedText
from engram_eval.judges.offline.rule_result import RuleResult
from engram_eval.language.dates import DateSpan, find_dates

_RELATIVE = re.compile(r"\b(?:before|after|prior|later|around|week|weekend)\b", re.IGNORECASE)
_ANCHOR = re.compile(r"\b(?:before|after|following|prior\s+to|of)\b", re.IGNORECASE)
_NEAR = 3  # days that a generous judge forgives if the gold itself is relative ("the week before …")
# Words just before or in a date that is not meant to be exact.
_ROUGHLY = re.compile(
    r"\b(?:around|about|approximately|roughly|circa|near|towards?|some\s?time|somewhere|one|earlier|later|or)\b",
    re.IGNORECASE,
)
_BEFORE = 25  # characters before a date that are searched for such a word: "sometime during the ..."


def compare_dates(question: ParsedText, gold: ParsedText, answer: ParsedText) -> RuleResult:
    """The features of an answer whose gold is a date, and the reason in words.

    Only the gold's first date counts, and the answer's nearest to it. The answer may repeat a date of the question.
    """
    in_question = {(span.start, span.end) for span in question.dates}
    target = gold.dates[0]
    spans = [span for span in answer.dates if (span.start, span.end) not in in_question] or list(answer.dates)
    if not spans:
        return RuleResult({}, f"no date where the gold is {target.text}")
    best = min(spans, key=lambda span: (_gap(span, target), _days(span)))
    gap = _gap(best, target)
    wider = max(0.0, math.log(_days(best) / _days(target))) if gap == 0 else 0.0
    same = (best.start, best.end) == (target.start, target.end)
    rough = answer.is_short and not same and _days(best) > 1 and _is_rough(best, answer) and not _is_rough(target, gold)
    features = {
        "overlap": float(gap == 0),
        "near": float(0 < gap <= _NEAR and _is_forgivable(best, target)),
        "first": float(_gap(spans[0], target) == 0),
        "coarser": float(wider > (_COARSER if answer.is_short else _MUCH_COARSER)),
        "rough": float(rough),
    }
    distance = "matches" if gap == 0 else f"{gap} days from" if gap > 1 else "1 day from"
    reason = f"date {best.text} {distance} the gold's {target.text}"
    if wider > _COARSER:
        reason += ", but is coarser"
    return RuleResult(features, reason + (", told roughly" if rough else ""))


_COARSER = math.log(
    2
)  # log of the ratio of lengths: "early June" for a week of June is not coarser, "in summer" for June is
_MUCH_COARSER = math.log(6)  # in a long answer, which may name the season first and the month elsewhere


def _gap(first: DateSpan, second: DateSpan) -> int:
    """Days between two spans; 0 if they share a day."""
    return max(0, (first.start - second.end).days, (second.start - first.end).days)


def _days(span: DateSpan) -> int:
    return max(1, (span.end - span.start).days + 1)


def _is_rough(span: DateSpan, text: ParsedText) -> bool:
    start, end = span.position
    return _ROUGHLY.search(text.text[max(0, start - _BEFORE) : end]) is not None


def _is_forgivable(given: DateSpan, target: DateSpan) -> bool:
    """For "the week before 9 June", a day close to it is forgivable; "the week before 16 June", another week, is not."""
    if not _RELATIVE.search(target.text):
        return False
    return (_days(given) == 1 and not _RELATIVE.search(given.text)) or _anchor(given) == _anchor(target)


def _anchor(span: DateSpan) -> list[tuple[int, int]] | None:
    """The days that a relative phrase counts from; for any other phrase, the days that it names."""
    tail = _ANCHOR.split(span.text, maxsplit=1)[-1]
    return [(s.start.toordinal(), s.end.toordinal()) for s in find_dates(tail, said_on=span.start)]
