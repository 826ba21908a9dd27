"""Answers that are wrong by construction, and what the offline judge makes of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engram_eval.datasets import catalogue
from engram_eval.judges.offline.abstention import abstains
from engram_eval.judges.offline.judge import OfflineJudge
from engram_eval.judges.probe.adversarial import FORMS, AdversarialAnswer, AdversarialAnswers, context_of
from engram_eval.language.words import content_stems, words
from engram_eval.types import Question

_JUDGE = OfflineJudge()


def accepts(question: Question, answer: str) -> bool:
    return asyncio.run(_JUDGE.judge(question, answer)).correct


@cache
def questions() -> list[Question]:
    """Of generated dialogues, those with a gold: no data that the judge was fitted to."""
    dataset = catalogue.benchmark("synthetic").open(None, {"conversations": "3", "turns": "120"})
    every = [question for sample in dataset.samples() for question in sample.questions]
    return [question for question in every if not question.unanswerable and not abstains(question.gold)]


@cache
def made() -> list[AdversarialAnswer]:
    maker = AdversarialAnswers(questions())
    return [wrong for q in questions() for wrong in maker.of(q, context=context_of(q, questions()))]


def adds_something(question: Question) -> bool:
    return not set(content_stems(question.gold)) <= set(content_stems(question.text))


def test_every_form_is_made() -> None:
    assert {wrong.form for wrong in made()} == set(FORMS)
    assert all(words(wrong.answer) for wrong in made())


def test_the_same_questions_give_the_same_answers_in_any_order() -> None:
    turned = AdversarialAnswers(questions()[::-1])
    again = [wrong for q in questions() for wrong in turned.of(q, context=context_of(q, questions()[::-1]))]
    assert again == made()


def test_there_is_one_answer_of_each_form() -> None:
    maker = AdversarialAnswers(questions())
    for question in questions()[:20]:
        forms = [wrong.form for wrong in maker.one_of_each(question, context="Much was said.")]
        assert len(forms) == len(set(forms)) and {"echo", "context dump", "not mentioned"} <= set(forms)


def test_a_near_miss_never_says_what_the_gold_says() -> None:
    for wrong in made():
        if wrong.form == "near miss" and not wrong.kind.startswith("swapped"):
            assert words(wrong.answer) != words(wrong.question.gold)


@pytest.mark.parametrize(
    ("gold", "kind", "answer"),
    [
        ("Max is 8 and Luna is 5", "swapped numbers", "Max is 5 and Luna is 8"),
        ("7 May 2023", "other day", None),
        ("in June 2023", "other month", None),
        ("Yes, she does", "other side", "No."),
        ("three cats", "other number", None),
    ],
)
def test_each_kind_of_gold_has_its_near_miss(gold: str, kind: str, answer: str | None) -> None:
    question = Question("c:q0", "c", "What is it?", gold, "", None, (), (), False)
    found = [text for near, text in AdversarialAnswers([question]).near_misses(question) if near == kind]
    assert found and (answer is None or found == [answer])


# --- the offline judge ----------------------------------------------------------------------------------------------


@cache
def rates() -> dict[str, float]:
    accepted, asked = Counter[str](), Counter[str]()
    for wrong in made():
        if wrong.form.endswith("echo") and not adds_something(wrong.question):
            continue
        asked[wrong.form] += 1
        accepted[wrong.form] += accepts(wrong.question, wrong.answer)
    return {form: accepted[form] / asked[form] for form in asked}


@pytest.mark.parametrize("form", ["echo", "prefixed echo", "not mentioned", "content-free", "context dump"])
def test_what_gives_no_answer_is_never_accepted(form: str) -> None:
    assert rates()[form] == 0


@pytest.mark.parametrize(
    ("form", "most"), [("rephrased echo", 0.01), ("hedge", 0.1), ("negation", 0.1), ("near miss", 0.25)]
)
def test_other_wrong_forms_are_seldom_accepted(form: str, most: float) -> None:
    assert rates()[form] <= most


def test_golds_are_accepted() -> None:
    right = [accepts(question, question.gold) for question in questions()]
    assert sum(right) >= 0.97 * len(right)


_GOLDS = [
    "Lisbon",
    "7 May 2023",
    "three cats",
    "her red bicycle",
    "painting and pottery",
    "a card game about cats",
    "Yes",
]
_ANSWERS = st.lists(
    st.sampled_from([*" ".join(_GOLDS).split(), "Not", "No.", "Porto", "8", "to", "a", "the", "June", "dogs", "it", "was"]),
    min_size=1, max_size=8,
).map(" ".join)  # fmt: skip


@settings(max_examples=150)
@given(
    st.sampled_from(_GOLDS), _ANSWERS, st.one_of(_ANSWERS.filter(lambda text: "." not in text), st.sampled_from(_GOLDS))
)
def test_a_further_alternative_never_makes_a_wrong_answer_right(gold: str, answer: str, alternative: str) -> None:
    question = Question("c:q0", "c", "What was it that Ana had or saw there?", gold, "", None, (), (), False)
    if not accepts(question, answer):
        assert not accepts(question, f"{answer} or {alternative}")


@settings(max_examples=60)
@given(
    st.sampled_from(_GOLDS[:-1]), st.sampled_from(["Not {}.", "It was not {}.", "It wasn't {}, it was something else."])
)
def test_a_denied_gold_is_wrong(gold: str, denial: str) -> None:
    question = Question("c:q0", "c", "What was it that Ana had or saw there?", gold, "", None, (), (), False)
    assert accepts(question, gold)
    assert not accepts(question, denial.format(gold))


_TEXT = st.text("abcdefgh ?.'", min_size=1, max_size=60)


@given(_TEXT, st.sampled_from(["{}", "Question: {}", "You asked: {}", "{} That is the question."]))
def test_an_echo_of_any_question_is_wrong_if_the_gold_is_not_in_it(text: str, prefix: str) -> None:
    question = Question("c:q0", "c", text, "xylophone zither", "", None, (), (), False)
    assert not accepts(question, prefix.format(text))
