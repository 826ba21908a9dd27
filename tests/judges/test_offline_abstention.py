"""Which answers abstain, and which do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_eval.judges.offline.abstention import abstains, contains_abstention

ABSTAINS = [
    "Not mentioned",
    "not mentioned in the conversation.",
    "No information available",
    "No information available.",
    "I don't know.",
    "I don’t know",
    "I do not know the answer.",
    "Unknown",
    "Unclear.",
    "Not available",
    "The name of the hotel is not known.",
    "I don't know when that was.",
    "I couldn't find any mention of it.",
    "That can't be inferred.",
    "N/A",
    "It is unclear.",
    "I'm not sure.",
    "I have no idea.",
    "This cannot be determined from the conversation.",
    "It can't be determined.",
    "It is not possible to determine this from the memories.",
    "I cannot answer that based on the context.",
    "The conversation does not mention where she was born.",
    "The memories don't say when that happened.",
    "There is no mention of a brother.",
    "There is no information about a brother in the memories.",
    "The exact date is not specified.",
    "It was never explicitly stated.",
    "I'm sorry, but I do not have information about that.",
    "There is not enough information to answer.",
    "Not mentioned. The conversation only mentions a trip to Rome.",
    "The dialogue does not mention a sister; it only mentions her brother.",
    "I'm unable to find any reference to that in the transcript.",
    "She did not mention which hotel.",
    "Nothing is mentioned about a cat.",
    "You haven't told me about a canoe.",
    "You never said which canoe you bought.",
    "We have not talked about a canoe yet.",
    "I don't see any record of that",
    "I can't find anything about a canoe.",
    "I do not recall you mentioning a canoe.",
    "I don't think you've mentioned a canoe.",
    "I have no memory of a canoe.",
    "I was never told about that.",
    "No canoe is discussed.",
    "No such trip appears in our history.",
    "That never came up.",
    "There's nothing in our chats about a canoe.",
    "None of the sessions mention a canoe.",
    "The transcript is silent on this.",
    "There doesn't seem to be any mention of a canoe.",
    "You told me about a kayak, but not about a canoe.",
]

ASSERTS = [
    "Rome",
    "It is not mentioned, but probably Rome.",
    "I don't know. It was Rome.",
    "Not mentioned: Rome",
    "I'm not sure, but I think she moved to Rome.",
    "She moved to Rome, although the exact date is not specified.",
    "She moved to Rome. The exact date is not mentioned.",
    "It is not explicitly stated; however, the context suggests that it was Rome.",
    "The year is unknown, though it was likely 2019.",
    "Unknown. Rome.",
    "No, she did not go.",
    "She never went to Rome.",
    "He didn't like the film.",
    "She was not happy with the offer.",
    "She was not given the job.",
    "I don't know how to swim.",
    "She was not sure about the job.",
    "I can't find my keys.",
    "An unknown artist painted it.",
    "She never told her boss.",
    "She never came up with a plan.",
    "He has no memory of the accident.",
    "We have nothing in the fridge.",
    "We never talked again after 2019.",
    "Nothing came up, so they went to Rome.",
    "You didn't give me the red one, you gave me the blue one.",
    "No dogs are allowed.",
    "",
]


@pytest.mark.parametrize("answer", ABSTAINS)
def test_an_answer_that_says_it_does_not_know_abstains(answer: str) -> None:
    assert contains_abstention(answer)
    assert abstains(answer)


@pytest.mark.parametrize("answer", ASSERTS)
def test_an_assertion_does_not_abstain_even_beside_an_abstention(answer: str) -> None:
    assert not abstains(answer)


@given(
    st.sampled_from(ABSTAINS),
    st.sampled_from(["Rome.", "It was Rome.", "Most likely Rome.", "She moved there in 2019."]),
)
def test_an_abstention_followed_by_an_answer_does_not_abstain(abstention: str, answer: str) -> None:
    assert not abstains(f"{abstention.rstrip('.')}. {answer}")


@given(st.text(max_size=300))
def test_any_text_can_be_checked(text: str) -> None:
    assert abstains(text) in (True, False)
    assert not abstains(text) or contains_abstention(text)
