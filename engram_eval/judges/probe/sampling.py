"""Chooses questions and makes the probe: answers whose right verdict is known, to test the judge with.

Up to four answers are made from a question and its gold: a *paraphrase* of the gold, which is right; a *vague* answer, which
repeats the topic of the question and states nothing; a *corrupted* gold, which states another fact; and an *adversarial* answer
of one of the forms of `judges/probe/adversarial.py`, such as the question itself or the gold among other candidates. (The audit
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
from engram_eval.judges.probe.adversarial import AdversarialAnswers, Form, context_of
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
    """Up to four answers to each of `size` questions, which are drawn by hash and spread evenly over the categories.

    The result does not depend on the order of the questions. Questions that allow all four answers are used first.
    """
    usable = sorted(filter(_is_usable, questions), key=lambda q: (hash_key(seed, q.id, q.text, q.gold), q.id))
    categories = sorted({question.category for question in usable})
    maker = AdversarialAnswers(usable, seed=seed)
    by_category = [
        _probes_by_question([question for question in usable if question.category == category], usable, maker, seed)
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


def _probes_by_question(
    questions: Sequence[Question], usable: Sequence[Question], maker: AdversarialAnswers, seed: int
) -> Iterator[list[Probe]]:
    """The probes of each question, first of those that allow all four answers. `usable`: where other facts come from."""
    incomplete = []
    for question in questions:
        probes = _question_probes(question, usable, maker, seed)
        if len(probes) == 4:
            yield probes
        elif probes:
            incomplete.append(probes)
    yield from sorted(incomplete, key=len, reverse=True)


# Of the others, the right verdict can be uncertain: a near miss may say the same, and a question as a statement means yes.
_CERTAIN: tuple[Form, ...] = (
    "echo",
    "prefixed echo",
    "negation",
    "hedge",
    "context dump",
    "not mentioned",
    "content-free",
)


def _question_probes(
    question: Question, others: Sequence[Question], maker: AdversarialAnswers, seed: int
) -> list[Probe]:
    pick = Pick(seed, question)
    made = maker.one_of_each(question, context=context_of(question, others))
    adversarial = [wrong.answer for wrong in made if wrong.form in _CERTAIN]
    answers: tuple[tuple[ProbeKind, str | None, bool], ...] = (
        ("paraphrase", paraphrase(question, pick), True),
        ("vague", vague(question, pick), False),
        ("corrupted", corrupted(question, others, pick), False),
        ("adversarial", pick.choose("form", adversarial), False),
    )
    return [Probe(question, kind, answer, expected) for kind, answer, expected in answers if answer]
