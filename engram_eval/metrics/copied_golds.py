"""Gold answers that were handed in as a system's answers: nearly all answers equal their golds, word for word."""

from __future__ import annotations

from engram_eval.language.words import words
from engram_eval.tables.text import plural

_SUSPICIOUS_SHARE = 0.9  # no system repeats nearly every gold with each of its words and no other


def repeats_gold(answer: str | None, gold: str) -> bool:
    """Whether the answer has the gold's words and no others, in the same order. Case and punctuation do not matter."""
    return answer is not None and (words(answer) or answer.strip()) == (words(gold) or gold.strip())


def copied_golds_warning(copied: int, answers: int) -> str | None:
    """A warning if nearly all answers to answerable questions equal their golds; None otherwise."""
    if not answers or copied < _SUSPICIOUS_SHARE * answers:
        return None
    share = "ALL" if copied == answers else f"{copied:,} OF"
    verb = "EQUALS ITS GOLD" if answers == 1 else "EQUAL THEIR GOLDS"
    return (
        f"{share} {plural(answers, 'ANSWER').upper()} TO ANSWERABLE QUESTIONS {verb} WORD FOR WORD: the file probably holds "
        "the dataset's gold answers and not a system's, and then these scores mean nothing."
    )
