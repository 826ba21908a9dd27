"""What the offline judge looks at: a question, its gold answer and an answer in, a row of numbers out.

A gold answer is of one of four kinds, and each kind is compared in its own way: a **date** by how far apart the two
spans of days lie, a **number** by equality, a **yes or no** by which side is taken, and any other **text** by how much
of it is there. The features of the other kinds are 0, so that the judge's one linear model is four small ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from engram_eval.judges.offline.abstention import abstains, refuses
from engram_eval.judges.offline.date_evidence import compare_dates
from engram_eval.judges.offline.number_evidence import compare_numbers
from engram_eval.judges.offline.parsed_text import ParsedText, clean, view, without_dates
from engram_eval.judges.offline.polarity import compare_sides, polarity
from engram_eval.judges.offline.text_evidence import compare_texts
from engram_eval.language.words import words

__all__ = ["Comparison", "Kind", "abstains", "compare", "refuses"]

Kind = Literal["date", "number", "yes-no", "text"]

_COMPARE = {"date": compare_dates, "number": compare_numbers, "yes-no": compare_sides, "text": compare_texts}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The features of one answer, by name, and for people what they were taken from."""

    kind: Kind
    features: Mapping[str, float]
    remark: str


def compare(question: str, gold: str, answer: str) -> Comparison:
    """The features of an answer to a question with that gold answer. Never raises, whatever the texts hold."""
    asked, expected = view(clean(question)), view(_core(clean(gold)))
    kind = _kind(asked, expected)
    near = expected.dates[0].start if kind == "date" else None
    given = view(clean(answer), dated=kind in ("date", "number"), near=near)
    features, remark = _COMPARE[kind](asked, expected, given)
    return Comparison(kind, {kind: 1.0} | {f"{kind}.{name}": value for name, value in features.items()}, remark)


# "Yes; she likes music", "No, because he has moved": what follows gives reasons, which the answer need not give.
_REASON = re.compile(r"\s*(?:;|,?\s*\b(?:because|since (?=he|she|it|they|the|this|there)))")
# LongMemEval allows being a day off: "7 days. 8 days (including the last day) is also acceptable."
_ALSO = re.compile(r"\(including the last day\)|\bis also acceptable\b", re.IGNORECASE)


def _core(gold: str) -> str:
    """The gold up to its reasons, and without remarks on what else would do."""
    gold = _ALSO.sub(" ", gold)
    core = _REASON.split(gold, maxsplit=1)[0]
    return core if words(core) else gold


_HOW_MANY = re.compile(r"\bhow (?:many|much|long|often|old|far|big|tall)\b", re.IGNORECASE)


def _kind(question: ParsedText, gold: ParsedText) -> Kind:
    if polarity(gold.text):
        return "yes-no"
    if gold.dates:
        beside = [s for s in view(without_dates(gold.text, gold.dates)).content if s not in question.known]
        return "date" if len(beside) <= 1 else "text"
    beside = [s for s in gold.content if s not in gold.numbers and s not in question.known]
    return "number" if gold.numbers and len(beside) <= (3 if _HOW_MANY.search(question.text) else 1) else "text"
