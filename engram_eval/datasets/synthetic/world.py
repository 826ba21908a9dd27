"""The word banks, and the facts drawn from them: events, facts that change, plans and traits."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

from engram_eval.datasets.synthetic.language import Deck, Person, Value, man, woman


@dataclass(frozen=True, slots=True)
class QuestionTemplate:
    """One question about an event in several wordings. The slots in its gold answer determine its evidence."""

    wordings: tuple[str, ...]
    gold: str


@dataclass(frozen=True, slots=True)
class EventKind:
    """A kind of event; events.toml explains the fields."""

    name: str
    per_person: int
    key: str
    good: bool
    slots: Mapping[str, tuple[Value, ...]]
    mentions: tuple[str, ...]
    tellings: tuple[str, ...]
    followups: tuple[str, ...]
    asides: tuple[str, ...]
    questions: tuple[QuestionTemplate, ...]
    noun: str
    act: str
    many: tuple[str, ...]
    count: str


@dataclass(frozen=True, slots=True)
class Chain:
    """A fact that changes; chains.toml explains the fields."""

    name: str
    slots: Mapping[str, tuple[Value, ...]]
    noun: str
    mentions: tuple[str, ...]
    first: tuple[str, ...]
    later: tuple[str, ...]
    asides_first: tuple[str, ...]
    asides_later: tuple[str, ...]
    now: tuple[str, ...]
    before: tuple[str, ...]
    since: tuple[str, ...]
    during: str


@dataclass(frozen=True, slots=True)
class Trait:
    """A personality trait; traits.toml explains the fields."""

    tellings: tuple[str, ...]
    wordings: tuple[str, ...]
    gold: str
    clash: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one of the speakers (0 or 1)."""

    kind: EventKind
    speaker: int
    values: Mapping[str, Value]

    @property
    def key(self) -> Value:
        return self.values[self.kind.key]


def read_toml(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))


@cache
def event_kinds() -> tuple[EventKind, ...]:
    return tuple(
        EventKind(
            name=name,
            per_person=entry["each"],
            key=entry["key"],
            good=entry.get("mood") != "bad",
            slots=_slots(entry),
            mentions=_texts(entry, "mentions"),
            tellings=_texts(entry, "tellings"),
            followups=_texts(entry, "followups"),
            asides=_texts(entry, "asides"),
            questions=tuple(
                QuestionTemplate(tuple(question["ask"]), question["gold"]) for question in entry["questions"]
            ),
            noun=entry["noun"],
            act=entry["act"],
            many=tuple(entry["many"]),
            count=entry.get("count", ""),
        )
        for name, entry in read_toml("events.toml").items()
    )


@cache
def chains() -> tuple[Chain, ...]:
    lists = ("mentions", "first", "later", "asides_first", "asides_later", "now", "before", "since")
    return tuple(
        Chain(
            name=name,
            slots=_slots(entry),
            noun=entry["noun"],
            during=entry.get("during", ""),
            **{field: _texts(entry, field) for field in lists},
        )
        for name, entry in read_toml("chains.toml").items()
    )


@cache
def traits() -> tuple[Trait, ...]:
    return tuple(
        Trait(tuple(entry["tell"]), tuple(entry["ask"]), entry["gold"], tuple(entry.get("clash", ())))
        for entry in read_toml("traits.toml")["trait"]
    )


@cache
def plans() -> dict[str, Any]:
    entry = read_toml("plans.toml")
    return {**entry, "slots": _slots(entry)}


def _slots(entry: Mapping[str, Any]) -> dict[str, tuple[Value, ...]]:
    return {name: tuple(Value.parse(text) for text in texts) for name, texts in entry["slots"].items()}


def _texts(entry: Mapping[str, Any], field: str) -> tuple[str, ...]:
    return tuple(text.strip() for text in entry[field])


def draw_two_friends(rng: Random) -> tuple[Person, Person]:
    people = read_people()
    pool = [(name, woman) for name in people["women"]] + [(name, man) for name in people["men"]]
    (first, make_first), (second, make_second) = rng.sample(pool, 2)
    return make_first(first), make_second(second)


@cache
def read_people() -> dict[str, Any]:
    return read_toml("people.toml")


class Fillings:
    """Draws the slot values of one conversation, with as few repeats as possible."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._decks: dict[tuple[str, str], Deck[Value]] = {}

    def draw(self, owner: str, slots: Mapping[str, Sequence[Value]]) -> dict[str, Value]:
        values = {}
        for name, choices in slots.items():
            deck = self._decks.setdefault((owner, name), Deck(choices, self._rng))
            values[name] = deck.draw()
        return values


def draw_events(rng: Random, fillings: Fillings) -> list[Event]:
    """Events for both speakers in random order. No two events of one kind share a key."""
    events = []
    for kind in event_kinds():
        keys_left = len(kind.slots[kind.key])
        for speaker in rng.sample((0, 1), 2):
            for _ in range(min(keys_left, rng.choice((kind.per_person - 1, kind.per_person, kind.per_person)))):
                events.append(Event(kind, speaker, fillings.draw(kind.name, kind.slots)))
                keys_left -= 1
    rng.shuffle(events)
    return events


def fits(trait: Trait, spoken_text: str) -> bool:
    """Whether nothing that the person will say contradicts the trait."""
    return not any(word in spoken_text for word in trait.clash)
