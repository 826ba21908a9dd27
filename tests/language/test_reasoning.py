"""An answer is told from the reasoning that a server leaves in the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_eval.language.reasoning import OnlyReasoning, holds_reasoning, without_reasoning


@pytest.mark.parametrize(
    "text",
    [
        "<think>\nFrance, so\n</think>\n\nParis",
        "France, so\n</think>\n\nParis",
        "<THINK>Rome?</THINK>Paris",
        "<thinking>Rome?</thinking>Paris",
        "<think>Rome?</think>Rome<think>no</think>Paris",
        "Let me see. <think>Rome?</think>Paris",
        "[THINK]Rome?[/THINK]Paris",
        "\u25c1think\u25b7Rome?\u25c1/think\u25b7Paris",
        "<seed:think>Rome?</seed:think>Paris",
        "<|begin_of_thought|>Rome?<|end_of_thought|><|begin_of_solution|>Paris<|end_of_solution|>",
        "<|START_THINKING|>Rome?<|END_THINKING|><|START_RESPONSE|>Paris<|END_RESPONSE|>",
        "<think>Rome?</think><answer>Paris</answer>",
        "<|channel|>analysis<|message|>Rome?<|end|><|start|>assistant<|channel|>final<|message|>Paris<|return|>",
        "<|channel|>final<|message|>Paris",
        "<|channel>thought\nRome?<channel|>Paris",
        "analysisWe need the capital.assistantfinalParis",
        "analysis\nThe capital.\nassistantfinal\nParis",
        "Here is my thought process: Rome?\nHere is my response: Paris",
        "< think >Rome?< / think >Paris",
    ],
)
def test_what_follows_the_reasoning_is_the_answer(text: str) -> None:
    assert without_reasoning(text) == "Paris"
    assert holds_reasoning(text)


@pytest.mark.parametrize(
    "text",
    [
        "<think>Rome?",
        "<think>Rome?</think>",
        "Paris <think>or Rome",
        "<think>a</think>Paris<think>or",
        "<|channel|>analysis<|message|>Rome?",
        "<|channel|>commentary<|message|>Rome?<|end|>",
        "analysisWe need the capital",
        "<think>Rome?</think><answer></answer>",
    ],
)
def test_reasoning_without_an_answer_after_it_is_no_answer(text: str) -> None:
    with pytest.raises(OnlyReasoning):
        without_reasoning(text)
    assert holds_reasoning(text)


@pytest.mark.parametrize(
    "text",
    [
        "Paris",
        "",
        "  Paris\n",
        "analysis of the data",
        "Analysis: Paris",
        "I think (thinking hard) Paris",
        "The final answer",
        "<b>Paris</b>",
    ],
)
def test_other_text_is_left_as_it_is(text: str) -> None:
    assert without_reasoning(text) == text
    assert not holds_reasoning(text)


@given(st.text(), st.text(alphabet="abc XYZ.", min_size=1).filter(str.strip))
def test_nothing_before_the_last_closing_mark_reaches_the_answer(reasoning: str, answer: str) -> None:
    assert without_reasoning(f"{reasoning}</think>{answer}") == answer.strip()
