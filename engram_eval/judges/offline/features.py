"""The features of an answer: the numbers that the offline judge's model weighs.

A gold answer is of one of four kinds, and each kind has its own rule: a **date** is compared by how far apart the two
spans of days are, a **number** by equality, **yes or no** by polarity, and any other **text** by how much of it is in the
answer. The features of the other three kinds are 0, so that the judge's one linear model is in fact four small ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from engram_eval.judges.offline.cleaning import clean
from engram_eval.judges.offline.date_rule import compare_dates
from engram_eval.judges.offline.digression import is_mostly_about_other_things
from engram_eval.judges.offline.echo import repeats_question
from engram_eval.judges.offline.number_rule import compare_numbers
from engram_eval.judges.offline.parsed_text import ParsedText, parse_text, without_dates
from engram_eval.judges.offline.text_rule import compare_texts
from engram_eval.judges.offline.yes_no_rule import compare_polarity, polarity
from engram_eval.language.words import words

Kind = Literal["date", "number", "yes-no", "text"]

_RULES = {"date": compare_dates, "number": compare_numbers, "yes-no": compare_polarity, "text": compare_texts}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The features of one answer by name, the reason for them in words, and whether a rule alone says that it is wrong."""

    kind: Kind
    features: Mapping[str, float]
    reason: str
    ruled_out: bool


def compare(question: str, gold: str, answer: str) -> Comparison:
    """The features of an answer to a question with this gold answer. Never raises, whatever the texts contain."""
    parsed_question, parsed_gold = parse_text(clean(question)), parse_text(_core(clean(gold)))
    kind = _kind(parsed_question, parsed_gold)
    near = parsed_gold.dates[0].start if kind == "date" else None
    dated = kind in ("date", "number") or bool(parsed_gold.dates or parsed_gold.numbers)
    parsed_answer = parse_text(clean(answer), dated=dated, near=near)
    if repeats_question(parsed_question, parsed_answer) and not (kind == "yes-no" and polarity(answer)):
        return Comparison(kind, {kind: 1.0}, "only repeats the question", ruled_out=True)
    if is_mostly_about_other_things(parsed_question, parsed_gold, parsed_answer):
        return Comparison(kind, {kind: 1.0}, "mostly about other things: a context, not an answer", ruled_out=True)
    result = _RULES[kind](parsed_question, parsed_gold, parsed_answer)
    features = {kind: 1.0} | {f"{kind}.{name}": value for name, value in result.features.items()}
    return Comparison(kind, features, result.reason, result.ruled_out)


def names_gold(question: str, gold: str, text: str) -> bool:
    """Does a piece of text contain one of the words that the gold adds to the question?"""
    parsed_question, parsed_gold = parse_text(clean(question)), parse_text(_core(clean(gold)))
    new = [s for s in parsed_gold.content if s not in parsed_question.known] or parsed_gold.content
    return any(map(parse_text(clean(text), dated=False).contains, new))


# "Yes; she likes music", "No, because he has moved": the rest gives reasons, which the answer does not have to give.
_REASON = re.compile(r"\s*(?:;|,?\s*\b(?:because|since (?=he|she|it|they|the|this|there)))")
# LongMemEval's golds allow a difference of one day: "7 days. 8 days (including the last day) is also acceptable."
_ALSO = re.compile(r"\(including the last day\)|\bis also acceptable\b", re.IGNORECASE)


def _core(gold: str) -> str:
    """The gold without its reasons and without the note on what else is acceptable."""
    gold = _ALSO.sub(" ", gold)
    core = _REASON.split(gold, maxsplit=1)[0]
    return core if words(core) else gold


_HOW_MANY = re.compile(r"\bhow (?:many|much|long|often|old|far|big|tall)\b", re.IGNORECASE)


def _kind(question: ParsedText, gold: ParsedText) -> Kind:
    """A gold with a date or a number is still a text if it has other content words that are not in the question."""
    if polarity(gold.text):
        return "yes-no"
    if gold.dates:
        others = [s for s in parse_text(without_dates(gold.text, gold.dates)).content if s not in question.known]
        return "date" if len(others) <= 1 else "text"
    others = [s for s in gold.content if s not in gold.numbers and s not in question.known]
    return "number" if gold.numbers and len(others) <= (3 if _HOW_MANY.search(question.text) else 1) else "text"
