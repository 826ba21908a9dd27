"""A turn counts only if the text holds it, whatever a memory names."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from engram_eval.language.words import content_stems
from engram_eval.metrics.named_turns import NamedTurns
from engram_eval.types import Context, Item, Turn

_TURNS = {
    turn.id: turn
    for turn in (
        Turn("D1:1", "Ann", "I adopted a brown puppy at the shelter in Lisbon"),
        Turn("D1:2", "Bob", "Wow!"),
        Turn("D1:3", "Bob", "Yes, we do!"),
        Turn("D1:4", "Ann", "👍"),
        *(Turn(f"D2:{i}", "Bob", f"We talked about the {topic} of my village") for i, topic in enumerate(
            ("harvest", "bakery", "school", "river", "market", "church", "bridge", "festival", "theatre", "station"),
        )),
    )
}  # fmt: skip
_VERBATIM = NamedTurns(_TURNS, paraphrased=False)
_PARAPHRASED = NamedTurns(_TURNS, paraphrased=True)


def _held(names: NamedTurns, text: str, *turn_ids: str) -> list[str]:
    return list(names.held(Context(text, tuple(Item((turn_id,), 1.0) for turn_id in turn_ids))).turn_ids)


def test_a_verbatim_turn_counts_if_four_fifths_of_it_are_there() -> None:
    assert _held(_VERBATIM, "Ann: I adopted a brown puppy at the shelter", "D1:1") == ["D1:1"]  # 4 of 5 content words
    assert _held(_VERBATIM, "Ann: I adopted a brown", "D1:1") == []


def test_the_text_of_a_turn_of_function_words_must_be_there_too() -> None:
    assert _held(_VERBATIM, "", "D1:3", "D1:4") == []
    assert _held(_VERBATIM, "Bob: Yes, we do!\nAnn: 👍", "D1:3", "D1:4") == ["D1:3", "D1:4"]


def test_a_paraphrase_counts_if_it_has_a_part_of_the_turn() -> None:
    assert _held(_PARAPHRASED, "Ann has a puppy from a shelter in Portugal", "D1:1") == ["D1:1"]
    assert _held(_PARAPHRASED, "Bob once went to Portugal", "D1:1") == []


@given(st.text(alphabet=string.punctuation + " xyz", max_size=200))
def test_a_memory_that_names_everything_and_says_nothing_holds_nothing(text: str) -> None:
    assert _held(_PARAPHRASED, text, *_TURNS) == []
    assert _held(_VERBATIM, text, *_TURNS) == []


def test_one_sentence_cannot_hold_more_turns_than_it_has_room_for() -> None:
    every_topic = "Bob told of harvest, bakery, school, river, market, church, bridge, festival, theatre and station"
    named = [turn_id for turn_id in _TURNS if turn_id.startswith("D2")]
    assert all(_held(_PARAPHRASED, every_topic, turn_id) for turn_id in named)
    assert _held(_PARAPHRASED, every_topic, *named) == named[: len(every_topic.split()) // 5]


def test_words_that_most_turns_share_do_not_hold_any_of_them() -> None:
    named = [turn_id for turn_id in _TURNS if turn_id.startswith("D2")]
    assert set(content_stems("talked")) <= set(content_stems(_TURNS["D2:0"].text))
    assert _held(_PARAPHRASED, "\n".join(["They talked."] * 20), *named) == []


@given(st.lists(st.sampled_from(sorted(_TURNS)), unique=True), st.booleans())
def test_what_is_held_was_named_and_keeps_its_order(named: list[str], paraphrased: bool) -> None:
    text = "\n".join(turn.text for turn in _TURNS.values())
    held = _held(_PARAPHRASED if paraphrased else _VERBATIM, text, *named)
    assert held == [turn_id for turn_id in named if turn_id in held]
    if not paraphrased:
        assert held == named
