"""The offline judge on hand-made cases and on arbitrary text."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engram_eval.judges.offline.judge import OfflineJudge
from engram_eval.types import Question, Verdict


def question(text: str, gold: str, *, unanswerable: bool = False) -> Question:
    return Question("c:q0", "c", text, gold, "single-hop", None, (), (), unanswerable)


def judge(text: str, gold: str, answer: str, *, unanswerable: bool = False) -> Verdict:
    return asyncio.run(OfflineJudge().judge(question(text, gold, unanswerable=unanswerable), answer))


RIGHT = [
    # the same day, week, month or year in other words
    ("When did Ana go to the fair?", "7 May 2023", "7 May 2023"),
    ("When did Ana go to the fair?", "7 May 2023", "May 7, 2023"),
    ("When did Ana go to the fair?", "7 May 2023", "2023-05-07"),
    ("When did Ana go to the fair?", "7 May 2023", "Ana went to the fair on May 7th, 2023, with her sister."),
    ("When did Ana go to the fair?", "The week before 9 June 2023", "3 June 2023"),
    ("When did Ana go to the fair?", "The Sunday before 25 May 2023", "21 May 2023"),
    ("When did Ana move house?", "June 2023", "On 12 June 2023"),
    ("When did Ana move house?", "June 2023", "Ana moved house in June 2023."),
    ("When did Ana move house?", "2022", "In March 2022."),
    ("When did Ana move house?", "12April, 2022.", "12 April 2022"),
    # numbers in words and in digits
    ("How many dogs does Ana have?", "3", "Three dogs"),
    ("How many dogs does Ana have?", "two", "Ana has 2 dogs."),
    ("How many times did Ana win?", "Twice", "2 times"),
    ("How long has Ana painted?", "7 years", "For seven years."),
    ("How many people came?", "1,500", "1500 people"),
    ("How many days passed?", "7 days. 8 days (including the last day) is also acceptable.", "Seven days"),
    ("How many days passed?", "7 days. 8 days (including the last day) is also acceptable.", "8 days"),
    # yes and no
    ("Does Ana like opera?", "Yes", "Yes, she loves it."),
    ("Would Ana move abroad?", "No; she has just bought a house", "No, she would not."),
    ("Would Ana move abroad?", "Likely no", "Ana would likely not move abroad."),
    # other words around the gold, parts in another order, one word for two
    ("What did Ana paint?", "a sunset", "She painted a beautiful sunset over the lake."),
    ("What instruments does Ana play?", "clarinet and violin", "Violin and clarinet"),
    ("What did Ana cook?", "icecream", "She made ice cream."),
    ("Which book did Ana read?", '"The Lost River"', "Ana read The Lost River."),
    ("Where was Ana born?", "UK", "In the United Kingdom"),
    ("What did I say about my cat?", "You mentioned that Luna likes the blue sofa.", "Luna likes the blue sofa."),
    ("Does Ana keep a boat?", "No", "No, there is no record of a boat."),
    ("Does Ana like opera?", "No, she finds it dull", "Not really, she finds it dull."),
    ("What did Ana paint?", "a sunset", "I painted a sunset last week and it turned out great, you should see it!"),
]

WRONG = [
    ("When did Ana go to the fair?", "7 May 2023", "7 May 2021"),
    ("When did Ana go to the fair?", "7 May 2023", "18 August 2023"),
    ("When did Ana go to the fair?", "7 May 2023", "She went with her sister."),
    ("When did Ana move house?", "June 2023", "November 2023"),
    ("When did Ana move house?", "2022", "2019"),
    ("How many dogs does Ana have?", "3", "Four dogs"),
    ("How many dogs does Ana have?", "two", "Several"),
    ("How long has Ana painted?", "7 years", "For quite a few years now."),
    ("How many days passed?", "7 days. 8 days (including the last day) is also acceptable.", "12 days"),
    ("Does Ana like opera?", "Yes", "No, she does not."),
    ("Does Ana like opera?", "No", "Yes, she loves it."),
    ("Would Ana move abroad?", "Likely no", "Yes, she would move abroad."),
    ("Where was Ana born?", "Sweden", "Norway"),
    ("Who came to the party?", "Martin", "Her neighbour Paul came."),
    ("What did Ana paint?", "a sunset", "Something from nature"),
    ("Which book did Ana read?", '"The Lost River"', "A book on personal growth"),
    ("What did Ana paint?", "a sunset", "Painting is such a great way to relax!"),
    ("What did Ana paint?", "a sunset", ""),
    ("What did Ana paint?", "a sunset", "  \n"),
    ("What did Ana paint?", "a sunset", "???"),
    ("What did Ana paint?", "a sunset", "Not mentioned."),
    ("When did Ana move house?", "June 2023", "No information available"),
    # vague: true of the right answer, and of many others
    ("When did Ana go to the fair?", "7 May 2023", "Sometime in May 2023"),
    ("When did Ana go to the fair?", "The week before 9 June 2023", "Around early June 2023"),
    ("When did Ana go to the fair?", "The week before 9 June 2023", "The week before 16 June 2023"),
    ("When did Ana move house?", "June 2023", "During the summer of 2023"),
    ("How often does Ana swim?", "once or twice a year", "About once a month"),
    ("Where was Ana born?", "Sweden", "Somewhere in the north of Europe"),
    ("What did Ana paint?", "a sunset", "Something related to nature and various other things"),
    ("What did I say about my cat?", "You mentioned that Luna likes the blue sofa.", "That it enjoys a certain place."),
]


@pytest.mark.parametrize(("text", "gold", "answer"), RIGHT)
def test_right_answers_are_accepted(text: str, gold: str, answer: str) -> None:
    verdict = judge(text, gold, answer)
    assert verdict.correct, verdict.reason


@pytest.mark.parametrize(("text", "gold", "answer"), WRONG)
def test_wrong_answers_are_rejected(text: str, gold: str, answer: str) -> None:
    verdict = judge(text, gold, answer)
    assert not verdict.correct, verdict.reason


@pytest.mark.parametrize(
    ("answer", "correct"),
    [
        ("Not mentioned", True),
        ("No information available.", True),
        ("I don't know.", True),
        ("Not mentioned, but probably in Rome.", False),
        ("In Rome.", False),
        ("", False),
    ],
)
def test_only_abstaining_answers_an_unanswerable_question(answer: str, correct: bool) -> None:
    assert judge("Where did Ana's sister move?", "", answer, unanswerable=True).correct is correct


def test_abstaining_is_right_where_the_gold_abstains() -> None:
    assert judge("Where was Ana born?", "Not mentioned", "I don't know.").correct


def test_the_reason_names_what_decided() -> None:
    assert "7 May 2023" in judge("When did Ana go to the fair?", "7 May 2023", "May 7, 2023").reason
    assert "p=" in judge("What did Ana paint?", "a sunset", "A sunset").reason
    assert judge("What did Ana paint?", "a sunset", "I don't know").reason.startswith("abstains")


def test_the_agreement_is_one_sentence() -> None:
    agreement = OfflineJudge().agreement
    assert "κ" in agreement and "%" in agreement and "\n" not in agreement


GOLDS = [gold for _, gold, _ in RIGHT] + [
    "Paris, Rome",
    "drama and romance",
    "Coco, Shadow",
    "self-doubt",
    "10 years ago",
]


@given(st.sampled_from(GOLDS), st.sampled_from(["{}", "{}.", "  {} ", "It was {}.", "\x00{}\x07"]))
def test_the_gold_itself_is_accepted(gold: str, frame: str) -> None:
    verdict = judge("What does Ana's file say?", gold, frame.format(gold))
    assert verdict.correct, verdict.reason


anything = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(
            ["", "yes", "no", "not", "7", "May", "2023", "two,", "and,", "\u202e", "\x00", "\n", "é", "🌟", "Ana", "("]
        )
    ).map(" ".join),
)


@given(anything, anything, anything, st.booleans())
@example("", "", "", False)
@example("q", "gold", "\ud800", False)
@example("q", "99999999999999999999 May 9999", "31 February 2023", False)
def test_any_text_gets_the_same_verdict_twice(text: str, gold: str, answer: str, unanswerable: bool) -> None:
    first = judge(text, gold, answer, unanswerable=unanswerable)
    assert first == judge(text, gold, answer, unanswerable=unanswerable)
    assert first.votes == (first.correct,)
    assert first.reason


@pytest.mark.parametrize(
    "filler", ["a", "sunset ", "not ", "no information ", "7 May 2023 ", ", ", "\n", "((((", "1", "Ana's. "]
)
def test_of_a_huge_answer_the_beginning_is_judged(filler: str) -> None:
    huge = filler * (2_000_000 // len(filler))
    verdict = judge("What did Ana paint?", "a sunset", huge)
    assert verdict == judge("What did Ana paint?", "a sunset", huge[:1_000_000])
