"""How a context's text is split into passages and sentences."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_eval.readers.offline.passages import Passage, read_passages
from tests.work import calls_made

MAY = date(2023, 5, 8)


def passages(text: str) -> list[Passage]:
    return list(read_passages(text).passages)


def test_turns_have_the_date_above_them() -> None:
    text = "[8 May 2023]\nAnn: Hello!\nBo Li: Hi.\n[9 May 2023]\nAnn: Bye."
    assert passages(text) == [
        Passage("Ann", MAY, "Hello!"),
        Passage("Bo Li", MAY, "Hi."),
        Passage("Ann", date(2023, 5, 9), "Bye."),
    ]


def test_a_turn_continues_until_the_next_speaker() -> None:
    assert passages("[8 May 2023]\nAnn: One.\ntwo\n\n- three\nBo: Four.") == [
        Passage("Ann", MAY, "One.\ntwo\n- three"),
        Passage("Bo", MAY, "Four."),
    ]


def test_a_heading_ends_the_validity_of_a_date() -> None:
    assert passages("# Events\n[8 May 2023]\nAnn: One.\n# Facts\nAnn likes tea.") == [
        Passage("Ann", MAY, "One."),
        Passage(None, None, "Ann likes tea."),
    ]


def test_in_a_chat_of_user_and_assistant_there_are_no_other_speakers() -> None:
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
def test_a_line_can_have_its_own_date(line: str) -> None:
    assert passages(line) == [Passage("Ann", MAY, "I ran.")]


def test_facts_without_a_speaker_are_separate_passages() -> None:
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
def test_json_gives_its_strings_and_dates(text: str) -> None:
    assert passages(text)[-1] == Passage(None, MAY, "Ann ran a race")


def test_json_can_name_the_speaker() -> None:
    text = '[{"role": "user", "content": "I ran."}, {"role": "assistant", "content": "Well done!"}, "A summary."]'
    assert passages(text) == [
        Passage("user", None, "I ran."),
        Passage("assistant", None, "Well done!"),
        Passage(None, None, "A summary."),
    ]


def test_a_caption_is_a_separate_sentence() -> None:
    passages = read_passages("Ann: Look! So green. [image: a photo of a lime tree]\nBo: Is it? Wow.")
    assert passages.sentences == ("Look!", "So green.", "a photo of a lime tree", "Is it?", "Wow.")
    assert passages.captions.tolist() == [False, False, True, False, False]
    assert passages.questions.tolist() == [False, False, False, True, False]


def test_a_resolved_date_is_kept_separately() -> None:
    passages = read_passages("Ann: I ran yesterday (= 7 May 2023).")
    assert (passages.sentences, passages.dated) == (("I ran yesterday.",), ("I ran yesterday (= 7 May 2023).",))


def test_a_context_is_parsed_once() -> None:
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
    passages = read_passages(text)
    assert len(passages.sentences) == len(passages.dated) == len(passages.passage_of) == len(passages.captions)
    assert all(passages.sentences)


def test_parsing_a_history_twice_as_long_takes_twice_the_work() -> None:
    lines = [f"Ann: This is what I did on turn {i}, and it took {i % 7} hours. What did you do?" for i in range(6_000)]
    half = calls_made(lambda: read_passages("\n".join(lines[:3_000])))
    whole = calls_made(lambda: read_passages("\n".join(lines)))
    assert whole < 2.5 * half
