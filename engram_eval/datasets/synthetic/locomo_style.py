"""LoCoMo-style conversations between two friends, as records in the format of the official `locomo10.json`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from random import Random
from typing import Any

from engram_eval.datasets.synthetic.dates import MONTHS
from engram_eval.datasets.synthetic.dialogue import Utterance
from engram_eval.datasets.synthetic.language import Person
from engram_eval.datasets.synthetic.locomo_questions import questions_on
from engram_eval.datasets.synthetic.story import ToldFact, endless_sessions, tell_story
from engram_eval.types import Session, Turn


def locomo_records(
    *, conversations: int = 10, seed: int = 0, sessions: int = 30, turns: int = 600
) -> Iterator[dict[str, Any]]:
    """Yields conversations in the official format. The i-th depends only on seed, i, sessions and turns.

    The number of turns is within a few of `turns`. The number of facts is limited: a conversation of many thousand turns
    consists mostly of small talk, and has about five hundred questions at most.
    """
    _require_positive(conversations=conversations, sessions=sessions, turns=turns)
    for index in range(conversations):
        yield _record(index, Random(f"locomo {seed} {index} {sessions} {turns}"), sessions, turns)


def session_stream(*, seed: int = 0, sessions: int, turns_per_session: int = 20) -> Iterator[Session]:
    """Yields the sessions of one conversation of any length, in constant memory. It has no questions."""
    _require_positive(sessions=sessions, turns_per_session=turns_per_session)
    rng = Random(f"stream {seed} {turns_per_session}")
    people, talk = endless_sessions(rng, sessions=sessions, turns_per_session=turns_per_session)
    for session in talk:
        turns = tuple(Turn(u.id, people[u.speaker].who, _with_caption(u)) for u in session.utterances)
        yield Session(f"D{session.number}", session.started_at, turns)


def _record(index: int, rng: Random, sessions: int, turns: int) -> dict[str, Any]:
    people, story = tell_story(rng, sessions=sessions, turns=turns)
    conversation: dict[str, Any] = {"speaker_a": people[0].who, "speaker_b": people[1].who}
    told_facts: list[ToldFact] = []
    for session in story:
        name = f"session_{session.number}"
        conversation[f"{name}_date_time"] = official_time(session.started_at)
        conversation[name] = [_turn(utterance, people) for utterance in session.utterances]
        told_facts += session.told_facts
    return {
        "sample_id": f"synthetic-{index}",
        "conversation": conversation,
        "qa": questions_on(told_facts, people, turns, rng),
    }


def _turn(utterance: Utterance, people: tuple[Person, Person]) -> dict[str, Any]:
    turn: dict[str, Any] = {"speaker": people[utterance.speaker].who}
    if utterance.caption:
        turn["blip_caption"] = utterance.caption
    return {**turn, "dia_id": utterance.id, "text": utterance.text}


def _with_caption(utterance: Utterance) -> str:
    return f"{utterance.text} [image: {utterance.caption}]" if utterance.caption else utterance.text


def official_time(time: datetime) -> str:
    """`1:56 pm on 8 May, 2023`, independent of the locale."""
    half = "am" if time.hour < 12 else "pm"
    return f"{(time.hour - 1) % 12 + 1}:{time.minute:02} {half} on {time.day} {MONTHS[time.month - 1]}, {time.year}"


def _require_positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} must be at least 1, not {number}")
