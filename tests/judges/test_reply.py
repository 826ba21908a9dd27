"""How a judge's reply is read: the whole reply is the verdict, or it is an error that keeps the reply."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_eval.judges.reply import REPLIES
from engram_eval.llm import Completion
from engram_eval.llm.errors import LLMError


def _read(text: str) -> tuple[bool, str]:
    return REPLIES["plain"].read(Completion(text, None, 1, 1, 0.0, 0.0, False))


@pytest.mark.parametrize("word", ["yes", "Yes.", "CORRECT", "**Correct**", '"yes"', " TRUE\n", '{"label": "CORRECT"}'])
def test_a_lone_word_or_an_object_is_a_verdict(word: str) -> None:
    assert _read(word) == (True, word.strip())


@pytest.mark.parametrize(
    "word", ["no", "NO.", "Wrong", "incorrect!", '```json\n{"label": "WRONG"}\n```', '{"correct": false}']
)
def test_a_lone_word_or_an_object_is_a_verdict_against(word: str) -> None:
    assert _read(word) == (False, word.strip())


@pytest.mark.parametrize(
    "text",
    [
        "", "Yes, but no", "The answer is correct.", "not correct", "yes\nno", "unsure", "{}", '{"label": "maybe"}',
        '{"label": "CORRECT", "verdict": "WRONG"}', '{"label": 1}', '[{"label": "CORRECT"}]', 'It says {"label": "CORRECT"}',
        '{"score": 1}', "yes no",
    ],
)  # fmt: skip
def test_anything_else_is_an_error_that_keeps_the_reply(text: str) -> None:
    with pytest.raises(LLMError, match="not a verdict") as caught:
        _read(text)
    assert caught.value.raw == text


@given(st.text(min_size=1, max_size=30).filter(lambda text: any(c.isalpha() for c in text)))
def test_a_word_beside_others_is_no_verdict(text: str) -> None:
    with pytest.raises(LLMError):
        _read(f"yes {text}")
