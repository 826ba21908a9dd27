"""Chooses questions and makes the probe: answers whose right verdict is known, to test the judge with.

Up to three answers are made from a question and its gold: a *paraphrase* of the gold, which is right; a *vague* answer, which
repeats the topic of the question and states nothing; and a *corrupted* gold, which states another fact. (The audit
dial481/locomo-audit measured a generous judge that accepted 62.8 % of wrong answers that were vague but on topic.) No answer
is made if the right verdict is uncertain: for preferences, questions without an answer, and questions about feelings.

Benchmarks accept some errors, so a corrupted gold is far off. LoCoMo's judge accepts another form of the same month or year,
so dates move by at least a year and into another month. LongMemEval's judge accepts counts that are off by one, so a number n
becomes 3n + 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from engram_eval.judges.offline.abstention import abstains
from engram_eval.judges.probe.altered_answers import corrupted, paraphrase, vague
from engram_eval.judges.probe.rewriting import Pick, hash_key
from engram_eval.language.words import words
from engram_eval.results.probe import ProbeKind
from engram_eval.types import Question

_LONGEST = 300  # characters of a gold; a longer one is an essay, parts of which may be right


@dataclass(frozen=True, slots=True)
class Probe:
    """An answer to test the judge with. `expected` is the right verdict."""

    question: Question
    kind: ProbeKind
    answer: str
    expected: bool


def make_probes(questions: Sequence[Question], *, size: int = 12, seed: int) -> list[Probe]:
    """Up to three answers to each of `size` questions, which are drawn by hash and spread evenly over the categories.

    The result does not depend on the order of the questions. Questions that allow all three answers are used first.
    """
    usable = sorted(filter(_is_usable, questions), key=lambda q: (hash_key(seed, q.id, q.text, q.gold), q.id))
    categories = sorted({question.category for question in usable})
    by_category = [
        _probes_by_question([question for question in usable if question.category == category], usable, seed)
        for category in categories
    ]
    alternating = (probes for one_per_category in zip_longest(*by_category) for probes in one_per_category if probes)
    return [probe for probes, _ in zip(alternating, range(size), strict=False) for probe in probes]


def _is_usable(question: Question) -> bool:
    return (
        not question.unanswerable
        and bool(words(question.text))
        and bool(words(question.gold))
        and len(question.gold) <= _LONGEST
        and not abstains(question.gold)
    )


def _probes_by_question(questions: Sequence[Question], usable: Sequence[Question], seed: int) -> Iterator[list[Probe]]:
    """The probes of each question, first of those that allow all three answers. `usable`: where other facts come from."""
    incomplete = []
    for question in questions:
        probes = _question_probes(question, usable, seed)
        if len(probes) == 3:
            yield probes
        elif probes:
            incomplete.append(probes)
    yield from sorted(incomplete, key=len, reverse=True)


def _question_probes(question: Question, others: Sequence[Question], seed: int) -> list[Probe]:
    pick = Pick(seed, question)
    answers: tuple[tuple[ProbeKind, str | None, bool], ...] = (
        ("paraphrase", paraphrase(question, pick), True),
        ("vague", vague(question, pick), False),
        ("corrupted", corrupted(question, others, pick), False),
    )
    return [Probe(question, kind, answer, expected) for kind, answer, expected in answers if answer]
