"""What a question asks for."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_eval.readers.offline.question_analysis import analyse_question

SPEAKERS = ("Ann", "Melanie")


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("When did Ann move?", "when"),
        ("In which month did Ann move?", "when"),
        ("What year did Ann move?", "when"),
        ("How did Ann feel when she moved?", "free"),
        ("How long has Ann lived here?", "duration"),
        ("How many weeks passed?", "duration"),
        ("How old is Ann's cat?", "duration"),
        ("How often does Ann swim?", "how-often"),
        ("How many cats does Ann have?", "count"),
        ("How much was the rent?", "count"),
        ("Who drove Ann home?", "who"),
        ("Where does Ann live?", "where"),
        ("Which city does Ann live in?", "where"),
        ("Does Ann live alone?", "yes-no"),
        ("Would Ann like to live alone?", "yes-no"),
        ("What activities does Ann enjoy?", "list"),
        ("What are Ann's hobbies?", "list"),
        ("Which books has Ann read?", "list"),
        ("Why did Ann move?", "why"),
        ("What motivated Ann to move?", "why"),
        ("Which book did Ann read?", "name"),
        ("What is the name of Ann's cat?", "name"),
        ("What did Ann cook?", "free"),
        ("", "free"),
    ],
)
def test_the_kind_of_a_question(question: str, kind: str) -> None:
    assert analyse_question(question, SPEAKERS).kind == kind


def test_the_person_asked_about() -> None:
    assert analyse_question("What did Ann do?", SPEAKERS).subjects == ("Ann",)
    assert analyse_question("What did Mel do?", SPEAKERS).subjects == ("Melanie",)
    assert analyse_question("What did Ann give Melanie?", SPEAKERS).subjects == ("Ann", "Melanie")
    assert analyse_question("What did Bruno do?", SPEAKERS).subjects == ("Bruno",)  # he is not a speaker here
    assert analyse_question("What was cooked?", SPEAKERS).subjects == ()


def test_in_a_chat_with_an_assistant_i_means_the_user() -> None:
    roles = ("user", "assistant")
    assert analyse_question("What did I cook?", roles).subjects == ("user",)
    assert analyse_question("What did you say?", roles).subjects == ("assistant",)
    assert analyse_question("What did you tell me?", roles).subjects == ()


def test_names_dates_and_stop_words_are_not_stems() -> None:
    asked = analyse_question("What did Ann buy at the market on 7 May 2023?", SPEAKERS)
    assert asked.stems == ("buy", "market")
    assert [(span.start, span.end) for span in asked.dates] == [(date(2023, 5, 7), date(2023, 5, 7))]


def test_an_irregular_past_has_the_stem_of_its_verb() -> None:
    assert (
        analyse_question("What had Ann bought?", SPEAKERS).stems
        == analyse_question("What did Ann buy?", SPEAKERS).stems
    )


def test_the_two_options_of_a_question() -> None:
    assert analyse_question("Would Ann rather go to a theme park or a national park?", SPEAKERS).options == (
        "theme park",
        "national park",
    )
    assert analyse_question("Does Ann like tea or coffee?", SPEAKERS).options == ("tea", "coffee")


@given(st.text(), st.lists(st.text(min_size=1), max_size=3), st.none() | st.dates())
def test_any_question_can_be_analysed(question: str, speakers: list[str], asked_on: date | None) -> None:
    assert analyse_question(question, speakers, asked_on) == analyse_question(question, speakers, asked_on)
