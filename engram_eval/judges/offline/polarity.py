"""Yes or no: which side the answer takes."""

from __future__ import annotations

import re

from engram_eval.judges.offline.abstention import refuses
from engram_eval.judges.offline.parsed_text import ParsedText, share
from engram_eval.language.words import sentences

_HEDGE = r"(?:(?:most|very|quite)\s+)?(?:likely|probably|definitely|certainly|possibly|presumably)?"
_SIDE = re.compile(
    rf"""\W*{_HEDGE}\W*(?:(?P<yes>yes|yeah|yep|(?:definitely|absolutely|certainly|of\ course)(?=\s*(?:[,.;!]|$)))
    |(?P<no>no|nope|unlikely|not\ (?:really|particularly|at\ all)))\b(?!\s+(?:\w+\s+)?(?:evidence|one|idea|mention))""",
    re.IGNORECASE | re.VERBOSE,
)
NEGATION = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|neither|nor|without|cannot|unlikely)\b|n't\b", re.IGNORECASE
)


def polarity(text: str) -> int:
    """1 for a text that begins with yes, -1 for one that begins with no, 0 for any other."""
    match = _SIDE.match(text.replace("’", "'"))
    return 0 if not match else 1 if match["yes"] else -1


def compare_sides(question: ParsedText, gold: ParsedText, answer: ParsedText) -> tuple[dict[str, float], str]:
    wanted, given = polarity(gold.text), polarity(answer.text)
    if given:
        told, weight = "says", 1.0
    else:  # "She would not have moved": half as sure, less so the less it speaks of what was asked
        told = "reads like"
        first = (sentences(answer.text) or [""])[0].replace("’", "'")
        weight = 0.0 if refuses(first) else 0.5 * share(question.known, answer)
        given = -1 if NEGATION.search(first) else 1
    remark = f"the answer {told} {'yes' if given > 0 else 'no'}, the gold {'yes' if wanted > 0 else 'no'}"
    return {"side": weight * given * wanted}, remark
