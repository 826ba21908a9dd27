"""The rule for numbers: is the answer's first new number the gold's?"""

from __future__ import annotations

from engram_eval.judges.offline.alignment import swaps
from engram_eval.judges.offline.numbers import numbers_in
from engram_eval.judges.offline.parsed_text import ParsedText, share_found
from engram_eval.judges.offline.rule_result import RuleResult

_UNITS = frozenset(
    "second minut hour day week month year mile kilomet meter feet inch dollar euro percent".split()
)  # stems


def compare_numbers(question: ParsedText, gold: ParsedText, answer: ParsedText) -> RuleResult:
    """The features of an answer whose gold is a number, and the reason in words."""
    expected = set(gold.numbers)
    candidates = answer.numbers or numbers_in(answer.text)  # the gold "15" in the answer "Aug 15th", which is a date
    given = [number for number in candidates if number in expected or number not in question.numbers]
    gold_units, answer_units = _units(gold), _units(answer)
    features = {
        "other_unit": float(bool(gold_units - answer_units) and bool(answer_units - gold_units)),
        "first": float(given[:1] != [] and given[0] in expected),
        "recall": share_found([s for s in gold.content if s not in expected] or gold.content, answer),
    }
    reason = f"numbers {', '.join(given[:4]) or 'none'} against the gold's {', '.join(gold.numbers)}"
    return RuleResult(features, reason, ruled_out=swaps(gold, answer))


def _units(text: ParsedText) -> frozenset[str]:
    return _UNITS & text.known
