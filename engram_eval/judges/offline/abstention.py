"""Abstention: does an answer say that something is not known, and does it say nothing else?"""

from __future__ import annotations

import re

from engram_eval.judges.offline.cleaning import MAX_CHARACTERS, clean
from engram_eval.language.words import sentences, words

_FACTS = r"(?:information|info|mention|record|evidence|details?|indication|data|references?|answer)"
# What "I" and "there" can lack. Of others, it is a fact: "He has no memory of the accident".
_TRACES = (
    rf"(?:{_FACTS}|memor(?:y|ies)|recollection|knowledge|trace|notes?|discussion|hint|clue|"
    r"way\s+(?:of|to)\s+(?:know|tell)(?:ing)?)"
)
_STATE = (
    r"(?:mention|specify|state|provide|contain|include|indicate|reveal|discuss|disclose|describe|detail|address|record|"
    r"cover)"
)
_STATED = (
    r"(?:mentioned|specified|stated|provided|indicated|revealed|disclosed|documented|discussed|detailed|addressed|covered|"
    r"recorded|brought\s+up|talked\s+about|referred\s+to|touched\s+on)"
)
# These words are also used of people ("she was not given the job"), so they count only after a word for a fact.
_KNOWN = r"(?:known|clear|given|available|said|found|recorded|described|included|certain)"
_WHAT = (
    r"(?:when|where|who|whose|what|which|whether|if|why|how(?!\s+to)|any|that|this|the\s+answer|information|for\s+sure)"
)
_NOT = r"(?:not|n't|never)"
_TEXTS = (
    r"(?:conversations?|dialogues?|memor(?:y|ies)|context|texts?|chats?|history|histories|messages|sessions?|records?|"
    r"transcripts?|logs?|notes)"
)
# Telling, by those who talk with the system. Of a third person, it is a fact: "She never told her boss".
_TOLD = (
    r"(?:told|tell|mention(?:ed)?|sa(?:y|id)|shared?|(?:brought|bring)\b.{0,40}\bup|(?:talk(?:ed)?|sp(?:oke|oken|eak))\s+"
    r"(?:\w+\s+){0,2}?(?:about|of)|discuss(?:ed)?|specif(?:y|ied)|stated?|described?|provided?|covered?|let\s+me\s+know)"
)
_I = r"\b(?:i|we)\s*(?:do|did|ca|can|could|have|had|'ve|was|were|am)?\s*"
_ABSTENTION = re.compile(
    rf"""\b(?:not|never|n't)\s+(?:\w+ly\s+|been\s+|be\s+|yet\s+|ever\s+)*{_STATED}\b       # it is not (explicitly) mentioned
    | \bno\s+(?:[\w'-]+\s+){{1,6}}?(?:is|are|was|were|has\s+been|have\s+been|gets?|got)\s+(?:\w+ly\s+|ever\s+)*{_STATED}\b
    | \b(?:no|not\s+any|not\s+enough|insufficient|lack\s+of|n't\s+any|never\s+any)\s+(?:\w+\s+){{0,2}}?{_FACTS}\b
    | \b(?:do|does|did)\s*(?:not|n't)\s+(?:\w+ly\s+)*{_STATE}\b                   # the conversation does not mention
    | \b(?:{_TEXTS}|it|they)\s+(?:do|does|did)\s*(?:not|n't)\s+say\b
    | \b{_TEXTS}\s+(?:\w+\s+){{0,3}}?(?:is|are)\s+silent\b
    | \b{_TEXTS}\s+(?:contains?|has|have|holds?|offers?|says?)\s+nothing\b
    | \b(?:you|we)\s*(?:ha(?:ve|d)|'ve|'d|did)?\s*{_NOT}\s+(?:\w+ly\s+|yet\s+|ever\s+|once\s+)*{_TOLD}\b  # you haven't told me
    | {_I}{_NOT}\s+(?:been\s+|ever\s+)*(?:told|informed|given\s+(?:any|that|this))\b
    | {_I}{_NOT}\s+(?:think|believe)\s+(?:that\s+)?(?:you|we|it|that|this)\b[^,;]{{0,40}}?
        \b(?:{_TOLD}|{_STATED}|c[ao]me\s+up)\b
    | {_I}{_NOT}\s+(?:recall|remember)\s+(?:\w+\s+){{0,3}}?(?:mention|say|tell|talk|discuss|bring|shar)ing\b
    | \b(?:i|we|there)\s*(?:have|'ve|has|is|are|'s|was)?\s*(?:no|not\s+any|n't\s+any)\s+(?:\w+\s+){{0,2}}?{_TRACES}\b
    | n't\s+(?:seem|appear)\s+to\s+be\s+any\b
    | \bno\s+(?:[\w'-]+\s+){{1,6}}?(?:appears?|shows?\s+up|comes?\s+up|is|was|are|were)\s+
        (?:anywhere\s+)?(?:in|on)\s+(?:\w+\s+){{0,3}}?{_TEXTS}\b
    | \b(?:no|none\s+of|neither\s+of)\s+(?:\w+\s+){{0,3}}?{_TEXTS}\s+(?:\w+ly\s+)?(?:{_STATE}s?|says?)\b
    | \b(?:neither|none)\s+of\s+(?:them|these|those)\s+(?:\w+ly\s+)?(?:{_STATE}s?|says?)\b
    | (?:\bnot|n't)\s+(?:something|anything|one)\s+(?:that\s+)?(?:you|we|i)\b(?:\s+\w+|'\w+){{0,3}}?\s+{_TOLD}
    | (?:\A|\bbut\s+)\W*not\s+(?:about\s+|of\s+)?(?:an?|any|the|your|this|that)\b[^.]*\W*\Z   # Luna, but not a dog
    | {_I}{_NOT}\s+(?:\w+ly\s+)*(?:see|seen|find|found|have|recall|remember|spot|
        locate|know|come\s+across|heard?|hear)\s+(?:of\s+|about\s+)*(?:any|anything|a|an|such)\b
        (?:\s+(?:\w+\s+){{0,3}}?(?:{_FACTS}|of|about|on|regarding|related|that|in)\b|\s*[.!?,]|\s*$)
    | \b(?:that|this|it|(?:such\s+)?(?:an?\s+|the\s+)?[\w'-]+(?:\s+[\w'-]+)?)\s*(?:has|have|had|do|does|did)?\s*{_NOT}\s+
        (?:\w+ly\s+|ever\s+)*(?:come|came|comes)\s+up\b(?!\s+with)                 # that never came up
    | \b(?:i|we)\s*(?:have|know|see|found|find|recall|remember)\s+nothing\s+(?:on|about|of|regarding)\b
    | \bthere\s*(?:is|was|'s)\s+nothing\s+(?:\w+\s+){{0,6}}?(?:about|on|regarding|that\s+(?:says|mentions|tells))\b
    | \bnothing\s+(?:about|like|of|on)\s+(?:\w+\s+){{1,4}}?(?:has\s+|ever\s+)*(?:came|comes?)\s+up\b
    | \b(?:information|details?|names?|dates?|years?|answer|reason|it|this|that|which|place|location)
        \s+(?:\w+\s+){{0,4}}?(?:is|are|was|were)\s*(?:not|n't)\s+(?:\w+ly\s+)*{_KNOWN}\b       # the year is not known
    | \b(?:can\s*not|can't|could\s+not|couldn't|unable\s+to|(?:not|im)\s*possible\s+to)\s+(?:be\s+)?(?:\w+ly\s+)*
        (?:(?:determined?|answer(?:ed)?|identif(?:y|ied)|infer(?:red)?|confirm(?:ed)?|ascertain(?:ed)?|establish(?:ed)?)\b
        | (?:say|said|tell|told|know|known|find|found|recall|provide|remember)\b(?=\s*(?:[.,;!?]|$|from|based|you\b|{_WHAT}\b)))
    | \b(?:i|we)\s+(?:(?:really|simply|honestly)\s+)?(?:do|did)\s*(?:not|n't)\s+(?:\w+ly\s+)*
        (?:know|recall|remember|have)\b(?=\s*(?:[.,;!?]|$|(?:enough|sufficient)\b|(?:the|this|that)\s+{_FACTS}|{_WHAT}\b))
    | \b(?:i|we)\s+(?:\w+ly\s+)?lack\s+(?:the\s+|any\s+|enough\s+)?{_FACTS}\b
    | \b(?:is|are|was|were|remains?)\s+(?:\w+ly\s+)?(?:unknown|unclear|unspecified|undetermined|unanswerable)\b
    | \A\W*(?:unknown|unclear|unspecified|undetermined|unanswerable|n/a|not\s+(?:known|available|sure|clear|recorded))\W*\Z
    | \b(?:i\s*am|i'm|we\s+are|we're)\s+(?:\w+ly\s+)?(?:not\s+(?:\w+ly\s+)?(?:sure|certain|aware)|unsure|unaware)\b
    | (?:\bi\s+have|\A\W*)\s*no\s+idea\b
    | \bnothing\s+(?:\w+\s+){{0,4}}?(?:is|was|has\s+been|were)\s+(?:ever\s+)?(?:said|{_STATED})\b""",
    re.IGNORECASE | re.VERBOSE,
)


# Every abstention contains one of these words: a quick check before the slow one.
_DENIAL = re.compile(
    r"\b(?:not?|none|neither|never|nothing|cannot|insufficient|lack|un[cks]\w+|unable|unanswerable|undetermined|"
    r"impossible|silent|n/a)\b|n['’]t\b",
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
    r"\b(?:sorry|apologi\w+|only|afraid|you\s+(?:told|said|mentioned|talked|shared)|based on|according to|mentions?|"
    r"mentioned|discuss\w*|talks? about|refers?|context|"
    r"conversations?|dialogues?|memor(?:y|ies)|records?|transcripts?|information|please|therefore)\b",
    re.IGNORECASE,
)
_GUESS = re.compile(
    r"\b(?:likely|probably|perhaps|maybe|possibly|presumably|might|may be|could be|suggests?|guess|"
    r"(?<!n't )(?<!not )(?:seems?|appears?)(?!\s+(?:in|on|anywhere)\b)|"
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
