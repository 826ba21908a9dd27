"""The rule for yes or no: do the gold and the answer say the same?"""

from __future__ import annotations

import re

from engram_eval.judges.offline.abstention import contains_abstention
from engram_eval.judges.offline.echo import adds_nothing
from engram_eval.judges.offline.parsed_text import ParsedText, share_found
from engram_eval.judges.offline.rule_result import RuleResult
from engram_eval.language.words import sentences

_HEDGE = r"(?:(?:most|very|quite)\s+)?(?:likely|probably|definitely|certainly|possibly|presumably)?"
_POLARITY = re.compile(
    rf"""\W*{_HEDGE}\W*(?:(?P<yes>yes|yeah|yep|(?:definitely|absolutely|certainly|of\ course)(?=\s*(?:[,.;!]|$)))
    |(?P<no>no|nope|unlikely|not\ (?:really|particularly|at\ all)))\b(?!\s+(?:\w+\s+)?(?:evidence|one|idea|mention))""",
    re.IGNORECASE | re.VERBOSE,
)
_STATED = re.compile(
    r"\W*(?:it|that|the\s+answer)\s+(?:is|was|would\s+be)\s+(?:an?\s+)?(?:(?:most\s+|very\s+)?(?:likely|probabl[ey])\s+)?"
    r"(?:(?P<yes>yes)|(?P<no>no))\s*(?:[.,;!]|$)",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|neither|nor|without|cannot|unlikely)\b|n't\b", re.IGNORECASE
)


def polarity(text: str) -> int:
    """1 if the text begins with yes ("Yes, …", "It is a yes."), -1 if it begins with no, else 0."""
    text = text.replace("’", "'")
    match = _POLARITY.match(text) or _STATED.match(text)
    return 0 if not match else 1 if match["yes"] else -1


def compare_polarity(question: ParsedText, gold: ParsedText, answer: ParsedText) -> RuleResult:
    """The features of an answer whose gold is yes or no, and the reason in words.

    `side` is the agreement, from -1 (the opposite) to 1. An answer that does not begin with yes or no ("She would not have
    moved") counts at most half, and less the fewer of the question's words it holds. One that says both, or that neither
    denies nor adds anything nor has half of the question's words, takes no side and is wrong.
    """
    expected, given = polarity(gold.text), polarity(answer.text)
    if given:
        verb, weight = "says", 0.0 if _BOTH.match(answer.text) else 1.0
    else:
        verb = "reads like"
        first_sentence = (sentences(answer.text) or [""])[0].replace("’", "'")
        given = -1 if _NEGATION.search(first_sentence) else 1
        covered = share_found(question.known, answer)
        silent = contains_abstention(first_sentence) or (given > 0 and adds_nothing(question, answer))
        weight = 0.0 if silent or covered < _ABOUT_IT else 0.5 * covered
    if not weight:
        return RuleResult({"side": 0.0}, "the answer takes no side", ruled_out=True)
    reason = f"the answer {verb} {'yes' if given > 0 else 'no'}, the gold {'yes' if expected > 0 else 'no'}"
    return RuleResult({"side": weight * given * expected}, reason)


_ABOUT_IT = 0.5  # share of the question's words
_BOTH = re.compile(r"\W*(?:yes\W+and\W+no|no\W+and\W+yes)\b", re.IGNORECASE)
