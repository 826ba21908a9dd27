"""Abstention: does an answer say that something is not known, and does it say nothing else?"""

from __future__ import annotations

import re

from engram_eval.judges.offline.cleaning import MAX_CHARACTERS, clean
from engram_eval.language.words import sentences, words

_FACTS = r"(?:information|info|mention|record|evidence|details?|indication|data|references?|answer)"
_STATE = (
    r"(?:mention|specify|state|provide|contain|include|indicate|reveal|discuss|disclose|describe|detail|address|record)"
)
_STATED = (
    r"(?:mentioned|specified|stated|provided|indicated|revealed|disclosed|documented|discussed|detailed|addressed)"
)
# These words are also used of people ("she was not given the job"), so they count only after a word for a fact.
_KNOWN = r"(?:known|clear|given|available|said|found|recorded|described|included|certain)"
_WHAT = (
    r"(?:when|where|who|whose|what|which|whether|if|why|how(?!\s+to)|any|that|this|the\s+answer|information|for\s+sure)"
)
_ABSTENTION = re.compile(
    rf"""\b(?:not|never|n't)\s+(?:\w+ly\s+|been\s+|be\s+|yet\s+)*{_STATED}\b       # it is not (explicitly) mentioned
    | \b(?:no|not\s+any|not\s+enough|insufficient|lack\s+of)\s+(?:\w+\s+){{0,2}}?{_FACTS}\b
    | \b(?:do|does|did)\s*(?:not|n't)\s+(?:\w+ly\s+)*{_STATE}\b                   # the conversation does not mention
    | \b(?:conversations?|dialogues?|memor(?:y|ies)|context|texts?|it|they)\s+(?:do|does|did)\s*(?:not|n't)\s+say\b
    | \b(?:information|details?|names?|dates?|years?|answer|reason|it|this|that|which|place|location)
        \s+(?:\w+\s+){{0,4}}?(?:is|are|was|were)\s*(?:not|n't)\s+(?:\w+ly\s+)*{_KNOWN}\b       # the year is not known
    | \b(?:can\s*not|can't|could\s+not|couldn't|unable\s+to|(?:not|im)\s*possible\s+to)\s+(?:be\s+)?(?:\w+ly\s+)*
        (?:(?:determined?|answer(?:ed)?|identif(?:y|ied)|infer(?:red)?|confirm(?:ed)?|ascertain(?:ed)?|establish(?:ed)?)\b
        | (?:say|said|tell|told|know|known|find|found|recall|provide)\b(?=\s*(?:[.,;!?]|$|from|based|{_WHAT}\b)))
    | \b(?:i|we)\s+(?:(?:really|simply)\s+)?(?:do|did)\s*(?:not|n't)\s+(?:\w+ly\s+)*
        (?:know|recall|remember|have)\b(?=\s*(?:[.,;!?]|$|(?:enough|sufficient)\b|{_WHAT}\b))
    | \b(?:is|are|was|were|remains?)\s+(?:\w+ly\s+)?(?:unknown|unclear|unspecified|undetermined|unanswerable)\b
    | \A\W*(?:unknown|unclear|unspecified|undetermined|unanswerable|n/a|not\s+(?:known|available|sure|clear))\W*\Z
    | \b(?:i\s*am|i'm|we\s+are|we're)\s+(?:\w+ly\s+)?(?:not\s+(?:\w+ly\s+)?(?:sure|certain|aware)|unsure|unaware)\b
    | (?:\bi\s+have|\A\W*)\s*no\s+idea\b
    | \bnothing\s+(?:is|was|has\s+been)\s+(?:said|{_STATED})\b""",
    re.IGNORECASE | re.VERBOSE,
)


# Every abstention contains one of these words: a quick check before the slow one.
_DENIAL = re.compile(
    r"\b(?:not?|never|nothing|cannot|insufficient|lack|un[cks]\w+|unable|unanswerable|undetermined|impossible|n/a)\b|n['’]t\b",
    re.IGNORECASE,
)


def contains_abstention(text: str) -> bool:
    """Does the text say anywhere that something is not known?"""
    text = text.replace("’", "'")
    return _DENIAL.search(text) is not None and _ABSTENTION.search(text) is not None


# What can accompany an abstention without asserting an answer: apologies, and what the conversation mentions instead.
_CLAUSE = re.compile(
    r"\s*[;:—–]\s+|,?\s*\b(?:but|however|though|although|yet|nevertheless|nonetheless|that said)\b,?\s*", re.IGNORECASE
)
_ASIDE = re.compile(
    r"\b(?:sorry|apologi\w+|only|based on|according to|mentions?|mentioned|discuss\w*|talks? about|refers?|context|"
    r"conversations?|dialogues?|memor(?:y|ies)|records?|transcripts?|information|please|therefore)\b",
    re.IGNORECASE,
)
_GUESS = re.compile(
    r"\b(?:likely|probably|perhaps|maybe|possibly|presumably|might|may be|could be|suggests?|seems?|appears?|guess|"
    r"implies|implied|i think|i believe|the answer (?:is|was|would be|must be))\b",
    re.IGNORECASE,
)


def abstains(text: str) -> bool:
    """Does the text say that the answer is not known, and assert nothing else?

    "It is not mentioned, but probably Rome" asserts an answer, so it does not abstain; neither does "Rome, though the year
    is not given". "Not mentioned; the conversation only mentions Rome" abstains.
    """
    if not _DENIAL.search(text[:MAX_CHARACTERS]):
        return False
    abstained = False
    for part in sentences(clean(text).replace("’", "'")):
        for clause in _CLAUSE.split(part):
            if _GUESS.search(clause):
                return False
            if contains_abstention(clause):
                abstained = True
            elif words(clause) and not _ASIDE.search(clause):
                return False
    return abstained
