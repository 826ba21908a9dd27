"""Which speakers a question is about."""

from __future__ import annotations

import pytest

from engram_eval.backends.speakers import mentioned_speakers


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("What did Ann's sister buy?", ["Ann"]),
        ("Do Bob Smith and ann both run?", ["Ann", "Bob Smith"]),
        ("Who is Smith?", ["Bob Smith"]),
        ("What did Annabel buy?", []),
        ("What did I buy?", []),
    ],
)
def test_a_question_mentions_speakers_by_a_word_of_their_name(query: str, expected: list[str]) -> None:
    assert mentioned_speakers(query, ["Ann", "Bob Smith"]) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("What did I buy in May?", ["user"]),
        ("Can you recommend a hotel for my trip?", ["user"]),  # a request, not about what the assistant said
        ("Which hotel did you recommend?", ["assistant"]),
        ("What was the name that you’ve suggested?", ["assistant"]),
        ("What was the third item of your list?", ["assistant"]),
        ("Remind me of the book you mentioned.", ["user", "assistant"]),
        ("What is the capital of France?", []),
    ],
)
def test_user_and_assistant_are_mentioned_by_pronouns(query: str, expected: list[str]) -> None:
    assert mentioned_speakers(query, ["user", "assistant"]) == expected
