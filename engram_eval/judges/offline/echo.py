"""Does an answer only repeat the question?"""

from __future__ import annotations

import difflib

from engram_eval.judges.offline.alignment import ABOUT_THE_EXCHANGE
from engram_eval.judges.offline.parsed_text import ParsedText

_MOST = 0.7  # share of the question's words


def adds_nothing(question: ParsedText, answer: ParsedText) -> bool:
    """Are all content words of the answer in the question, apart from words about the exchange itself?"""
    return all(s in question.known or s in question.stems or s in ABOUT_THE_EXCHANGE for s in answer.content)


def repeats_question(question: ParsedText, answer: ParsedText) -> bool:
    """Does the answer add nothing, and contain most of the question word for word?"""
    if not question.stems or not adds_nothing(question, answer):
        return False
    matcher = difflib.SequenceMatcher(None, question.stems, answer.stems, autojunk=False)
    longest = matcher.find_longest_match()
    return longest.size >= _MOST * len(question.stems) and longest.size > 1
