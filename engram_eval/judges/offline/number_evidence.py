"""Numbers: whether the answer's first new one is the gold's."""

from __future__ import annotations

from engram_eval.judges.offline.parsed_text import ParsedText, numbers, share

_UNITS = frozenset(
    "second minut hour day week month year mile kilomet meter feet inch dollar euro percent".split()
)  # stems


def compare_numbers(question: ParsedText, gold: ParsedText, answer: ParsedText) -> tuple[dict[str, float], str]:
    wanted = set(gold.numbers)
    every = answer.numbers or numbers(answer.text)  # "Aug 15th" against "15 August 2023"
    given = [number for number in every if number in wanted or number not in question.numbers]
    features = {
        "other_unit": float(bool(_units(gold) - _units(answer)) and bool(_units(answer) - _units(gold))),
        "first": float(given[:1] != [] and given[0] in wanted),
        "recall": share([s for s in gold.content if s not in wanted] or gold.content, answer),
    }
    return features, f"numbers {', '.join(given[:4]) or 'none'} against the gold's {', '.join(gold.numbers)}"


def _units(text: ParsedText) -> frozenset[str]:
    return _UNITS & text.known
