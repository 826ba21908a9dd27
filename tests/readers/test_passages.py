"""How a context's text is taken apart."""

from __future__ import annotations

from datetime import date
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_eval.readers.offline.passages import Passage, read_passages

MAY = date(2023, 5, 8)


def passages(text: str) -> list[Passage]:
    return list(read_passages(text).passages)


def test_turns_stand_under_their_date() -> None:
    text = "[8 May 2023]\nAnn: Hello!\nBo Li: Hi.\n[9 May 2023]\nAnn: Bye."
    assert passages(text) == [
        Passage("Ann", MAY, "Hello!"),
        Passage("Bo Li", MAY, "Hi."),
        Passage("Ann", date(2023, 5, 9), "Bye."),
    ]


def test_a_turn_goes_on_until_the_next_speaker() -> None:
    assert passages("[8 May 2023]\nAnn: One.\ntwo\n\n- three\nBo: Four.") == [
        Passage("Ann", MAY, "One.\ntwo\n- three"),
        Passage("Bo", MAY, "Four."),
    ]


def test_a_heading_ends_the_reach_of_a_date() -> None:
    assert passages("# Events\n[8 May 2023]\nAnn: One.\n# Facts\nAnn likes tea.") == [
        Passage("Ann", MAY, "One."),
        Passage(None, None, "Ann likes tea."),
    ]


def test_with_a_user_and_an_assistant_nobody_else_speaks() -> None:
    text = "user: Any tips?\nassistant: Yes:\nOnline Reviews: check them.\nuser: Thanks."
    assert [p.speaker for p in passages(text)] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    "line",
    [
        "[8 May 2023] Ann: I ran.",
        "(2023-05-08) Ann: I ran.",
        "- [8 May 2023, 13:56] Ann: I ran.",
        "2023-05-08: Ann: I ran.",
        "2023-05-08T13:56:00Z Ann: I ran.",
        "* [2023/05/08 (Mon) 02:21] Ann: I ran.",
    ],
)
def test_a_line_may_bring_its_own_date(line: str) -> None:
    assert passages(line) == [Passage("Ann", MAY, "I ran.")]


def test_facts_without_speaker_or_date_stand_alone() -> None:
    assert passages("- Ann likes tea.\n2. Bo has a dog.") == [
        Passage(None, None, "Ann likes tea."),
        Passage(None, None, "Bo has a dog."),
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"memory": "Ann ran a race", "user_id": 7, "id": "a-b c", "created_at": "2023-05-08T10:00:00"}',
        '[{"text": "Ann ran a race", "metadata": {"date": "8 May 2023"}}]',
        '{"results": [{"id": "x y",\n "memory": "Ann ran a race",\n "updated_at": "2023/05/08"}]}',
        'Here is what I know:\n{"fact": "Ann ran a race", "timestamp": "2023-05-08"},',
    ],
)
def test_json_is_read_for_its_strings_and_its_dates(text: str) -> None:
    assert passages(text)[-1] == Passage(None, MAY, "Ann ran a race")


def test_json_may_tell_who_spoke() -> None:
    text = '[{"role": "user", "content": "I ran."}, {"role": "assistant", "content": "Well done!"}, "A summary."]'
    assert passages(text) == [
        Passage("user", None, "I ran."),
        Passage("assistant", None, "Well done!"),
        Passage(None, None, "A summary."),
    ]


def test_a_caption_is_a_sentence_of_its_own() -> None:
    found = read_passages("Ann: Look! So green. [image: a photo of a lime tree]\nBo: Is it? Wow.")
    assert found.sentences == ("Look!", "So green.", "a photo of a lime tree", "Is it?", "Wow.")
    assert found.captions.tolist() == [False, False, True, False, False]
    assert found.questions.tolist() == [False, False, False, True, False]


def test_what_a_memory_wrote_out_is_kept_apart() -> None:
    found = read_passages("Ann: I ran yesterday (= 7 May 2023).")
    assert (found.sentences, found.dated) == (("I ran yesterday.",), ("I ran yesterday (= 7 May 2023).",))


def test_a_context_is_read_once() -> None:
    assert read_passages("Ann: One.") is read_passages("Ann: One.")


@given(
    st.text()
    | st.lists(
        st.sampled_from(
            [
                "[8 May 2023]",
                "# a",
                "Ann: b",
                "[" * 2000 + "]" * 2000,
                '{"a": [[1, {}], ""]}',
                "c",
                "{",
                '"d"',
                "- 1. e",
                ":",
                "[image:",
            ]
        )
    ).map("\n".join)
)
def test_any_text_can_be_read(text: str) -> None:
    found = read_passages(text)
    assert len(found.sentences) == len(found.dated) == len(found.passage_of) == len(found.captions)
    assert all(found.sentences)


def test_a_long_history_is_read_in_a_moment() -> None:
    lines = [f"Ann: This is what I did on turn {i}, and it took {i % 7} hours. What did you do?" for i in range(6_000)]
    started = perf_counter()
    read_passages("\n".join(lines))
    assert perf_counter() - started < 3  # a quarter of a second on an idle core
