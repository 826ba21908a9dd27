"""How the gold's new words align with the answer's: which are there, which have a word of like meaning, which were replaced."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engram_eval.judges.offline.parsed_text import ParsedText
from engram_eval.judges.offline.word_vectors import Vectors, nearest, rarity, vectors_of
from engram_eval.language.words import stem

# Words about the question and the conversation themselves: "Question:", "You asked", "according to the conversation".
ABOUT_THE_EXCHANGE = frozenset(
    """question answer ask asked convers dialogu context memori mention regard accord base refer relat correct exact right true
    fact good great sure cours okay ok thank pleas repli respons respond topic concern q a describ said say tell told talk
    discuss state note know known think thought let look see here well inde 1""".split()
)  # stems


@dataclass(frozen=True, slots=True)
class Alignment:
    """All words are stems of content words.

    `new`: the gold's words that the question does not have, or all of the gold's if it has them all. `missing`: those of
    them that the answer lacks; `support`: for each of these, its similarity with the nearest of the answer's own words,
    from 0 to 1. `added`: the answer's words that the question does not have. `foreign`: those that the gold lacks too.
    """

    new: tuple[str, ...]
    missing: tuple[str, ...]
    support: tuple[float, ...]
    added: tuple[str, ...]
    foreign: tuple[str, ...]

    @property
    def recall(self) -> float:
        return 1 - len(self.missing) / len(self.new) if self.new else 0.0

    @property
    def soft_recall(self) -> float:
        """A missing word counts as far as a word of like meaning is there; rare words count more."""
        if not self.missing:
            return self.recall
        weights = {word: 0.2 + rarity(word) for word in self.new}
        lost = sum(weights[word] * (1 - near) for word, near in zip(self.missing, self.support, strict=True))
        return 1 - lost / sum(weights.values())

    @property
    def evidence(self) -> float:
        """1 if the answer has any of the new words, else the likeness of the likest word."""
        return 1.0 if len(self.missing) < len(self.new) else max(self.support, default=0.0)

    @property
    def unsupported(self) -> int:
        """Missing words for which the answer has nothing of like meaning."""
        return sum(near < _LIKE for near in self.support)


_LIKE = 0.6  # cosine; above it are synonyms and words of one family


def align(question: ParsedText, gold: ParsedText, answer: ParsedText, *, names: frozenset[str]) -> Alignment:
    """`names`: the gold's names, which no other word can support."""
    expected = tuple(dict.fromkeys(gold.content))
    new = tuple(s for s in expected if s not in question.known) or expected
    added = tuple(s for s in dict.fromkeys(answer.content) if s not in question.known)
    foreign = tuple(s for s in added if not gold.contains(s))
    missing = tuple(s for s in new if not answer.contains(s))
    own = vectors_of([s for s in foreign if s not in ABOUT_THE_EXCHANGE])
    support = tuple(0.0 if s in names or s[0].isdigit() else nearest(s, own) for s in missing)
    return Alignment(new, missing, support, added, foreign)


def likeness(first: Sequence[str], second: Sequence[str]) -> float:
    """Cosine of the mean vectors of two lists of stems, from -1 to 1; 0 if one has no vector."""
    one, other = _mean(vectors_of(first)), _mean(vectors_of(second))
    return 0.0 if one is None or other is None else float(one @ other)


def _mean(vectors: Vectors) -> Vectors | None:
    if not len(vectors):
        return None
    total: Vectors = vectors.sum(axis=0)
    return total / max(float(np.linalg.norm(total)), 1e-9)


def substituted(gold: ParsedText, answer: ParsedText, alignment: Alignment) -> float:
    """If the answer is the gold with some words replaced in place, the share of the new words that were replaced; else 0.

    "A board game about dogs" keeps the frame of "a card game about cats". Words of like meaning do not count as replaced.
    """
    if not alignment.unsupported or not alignment.foreign:
        return 0.0
    if abs(len(answer.stems) - len(gold.stems)) > 1 + len(gold.stems) // 4:
        return 0.0
    steps = difflib.SequenceMatcher(None, gold.stems, answer.stems, autojunk=False).get_opcodes()
    kinds = {step[0] for step in steps}
    added_or_lost = sum(end - start + b - a for kind, start, end, a, b in steps if kind in ("insert", "delete"))
    return alignment.unsupported / len(alignment.new) if {"equal", "replace"} <= kinds and added_or_lost <= 1 else 0.0


def swaps(gold: ParsedText, answer: ParsedText) -> bool:
    """Are the gold's numbers given to the wrong names, as in "Max is 5 and Luna is 8" for "Max is 8 and Luna is 5"?"""
    numbers, names = [n for n in gold.numbers if n in answer.numbers], _names_in_order(gold)
    shared = [name for name in names if name in answer.known]
    if len(set(numbers)) < 2 or len(set(shared)) < 2:
        return False
    same_numbers = numbers == [n for n in answer.numbers if n in numbers][: len(numbers)]
    given = [s for s in answer.content if s in shared]
    return same_numbers != (list(dict.fromkeys(given)) == list(dict.fromkeys(shared)))


_NAME = re.compile(r"\b[A-Z][a-z]+\b")


def _names_in_order(text: ParsedText) -> list[str]:
    return [s for name in _NAME.findall(text.text) if (s := stem(name.lower())) in text.content]
