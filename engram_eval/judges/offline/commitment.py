"""Does an answer commit itself to what it names? A denial and a list of candidates name the gold and do not assert it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from engram_eval.language.words import sentences, words

# Not in "on or around 7 May", "whether or not", "a week or so".
_OR = re.compile(
    r"\s*[,;:]?\s*(?:\band\s*/\s*)?(?<!\bon\s)(?<!\bin\s)(?<!\bat\s)(?<!\bby\s)(?<!\bwhether\s)(?<!\bmore\s)\bor\b"
    r"(?!\s+(?:so|less|more)\s*(?:[.,;!?]|$))\s*,?\s*",
    re.IGNORECASE,
)
_GUESS = re.compile(
    r"(?:\A|[.;,!?]\s*|\b(?:or|and|but)\s+)(?:maybe|perhaps|possibly|it\s+(?:could|might|may)\s+(?:also\s+)?(?:be|have\s+been))\b\s*",
    re.IGNORECASE,
)
_HEDGED = re.compile(
    r"\W*(?:either|maybe|perhaps|possibly|(?:it|this|that)\s+(?:could|might|may)\s+(?:be|have\s+been))\b", re.IGNORECASE
)
_BROKEN_OFF = re.compile(r"[.!?…]+\s+or\b", re.IGNORECASE)  # "Rome. Or Lisbon."
_MOST_ALTERNATIVES = 12
_LONGEST_CHOICE = 40  # words of a sentence; in longer ones, "or" seldom offers the answer
_LONGEST_LIST = 20  # words before "or"; in longer sentences, a comma ends a clause

_NEGATIVE = re.compile(r"\b(?:not|never|no|none|nor|neither|without|cannot|nothing|nobody)\b|n't\b", re.IGNORECASE)
_CLAUSE_END = re.compile(r"[.;!?]+(?:\s+|$)|,\s+|\s+[–—-]\s+|\s*(?<!anything )\bbut\b\s*|\n+", re.IGNORECASE)
_DENIAL = re.compile(
    r"""\W*(?:\w+\W+){0,5}?(?:(?:\b(?:not|never)\b|\w+n't\b)(?!\s+(?:only|just|merely|simply|sure|certain|to\s+mention)\b)
    |\banything\s+but\b|\bneither\b)""",
    re.IGNORECASE | re.VERBOSE,
)
_NEW_STATEMENT = re.compile(r"\W*(?:it|he|she|they|this|that|but|instead|rather)\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.;!?]\W*\Z")
_INSTEAD = re.compile(r"\b(?:rather\s+than|instead\s+of|as\s+opposed\s+to)\s+[^.,;!?\n]+", re.IGNORECASE)


def alternatives(answer: str, gold: str) -> list[str]:
    """The answers that an answer offers to choose from: "A or B" as "A" and "B". Empty if it offers none, or the gold does.

    If one sentence of several offers a choice, each alternative keeps the other sentences.
    """
    if _OR.search(gold):
        return []
    guesses = [part for part in _GUESS.split(answer) if words(part)]
    if len(guesses) > 1 and len(_GUESS.findall(answer)) > 1:
        return [single for guess in guesses for single in (_OR.split(guess) if _OR.search(guess) else [guess])]
    parts = sentences(_BROKEN_OFF.sub(" or", answer))
    offered = []
    for i, sentence in enumerate(parts):
        choices = [choice for choice in _listed(sentence) if words(choice)]
        if len(choices) > 1:
            offered += [" ".join([*parts[:i], choice, *parts[i + 1 :]]) for choice in choices]
    return offered[:_MOST_ALTERNATIVES]


def _listed(sentence: str) -> Iterator[str]:
    """The parts of a sentence between its "or"s, and those of "A, B or C"."""
    first, *rest = _OR.split(sentence)
    if not rest or (len(words(sentence)) > _LONGEST_CHOICE and not _HEDGED.match(sentence)):
        return
    yield first
    if len(words(first)) <= _LONGEST_LIST:
        yield from first.split(", ") if ", " in first else []
    yield from rest


def without_denials(answer: str, gold: str, names_gold: Callable[[str], bool]) -> str:
    """The answer without the clauses that deny the gold: "He moved to Porto" of "Not Lisbon. He moved to Porto".

    `names_gold` says whether a clause names something of the gold. A gold that is itself negative is not denied by "not".
    """
    if _NEGATIVE.search(gold) or not (
        _NEGATIVE.search(answer) or _INSTEAD.search(answer) or "anything but" in answer.lower()
    ):
        return answer
    kept, start, denied = [], 0, False
    for end in [*(match.end() for match in _CLAUSE_END.finditer(answer)), len(answer)]:
        clause = answer[start:end]
        goes_on = denied and not _NEW_STATEMENT.match(clause)  # "not Rome, Italy"
        denied = (goes_on or _DENIAL.match(clause) is not None) and names_gold(clause)
        if not denied:
            kept.append(clause)
        if _SENTENCE_END.search(clause):
            denied = False
        start = end
    return _INSTEAD.sub(lambda match: "" if names_gold(match[0]) else match[0], "".join(kept))
