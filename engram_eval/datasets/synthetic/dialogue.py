"""Writes sessions: scenes of a few turns each, joined so that they read as one chat between two friends."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from random import Random

from engram_eval.datasets.synthetic.dates import DatePhrase
from engram_eval.datasets.synthetic.language import (
    Deck,
    Person,
    Value,
    choose_wordings,
    fill_slots,
    pick_wording,
    sentence_case,
    slots_in,
)
from engram_eval.datasets.synthetic.world import read_toml

# Chance that a turn gets an addition, if there is one to add.
_MENTION_CHANCE = 0.85
_FEELING_CHANCE = 0.85
_RAMBLE_CHANCE = 0.65
_EXCLAMATION_CHANCE = 0.2
_EXTRA_CAPTION_CHANCE = 0.18
_SINCE_PREPOSITION = re.compile(r"\b([Ss]ince) (?:on|in) ")


@dataclass(frozen=True, slots=True)
class Scene:
    """A dialogue template and the values for its slots. `teller` (0 or 1) is the speaker that the template calls A."""

    telling: str
    teller: int
    values: Mapping[str, Value] = field(default_factory=dict)
    mood: str = ""
    """"good", "bad", "chat", or "" for a scene in which no feelings are added."""
    key: str = ""
    mentions: Sequence[str] = ()
    """Sentences that name the slot `key` again, used after it was first named."""


@dataclass(frozen=True, slots=True)
class Utterance:
    id: str
    speaker: int
    text: str
    caption: str | None


@dataclass(frozen=True, slots=True)
class ScenePlacement:
    """The turns of a scene that one must read to know the value of each slot, and of `when`."""

    by_slot: Mapping[str, tuple[str, ...]]
    teller_turns: tuple[str, ...]
    key: str
    identifying_turns: frozenset[str]
    """The turns that name the event."""

    def turns(self, *slots: str) -> list[str]:
        """Ids of the turns that state the slots, plus the turn that names the event if none of them does."""
        turn_ids = [turn for slot in slots for turn in self.by_slot[slot]]
        if self.key and not self.identifying_turns.intersection(turn_ids):
            turn_ids += self.by_slot[self.key]
        return in_order(turn_ids)


def _place_in_conversation(turn_id: str) -> tuple[int, int]:
    session, turn = turn_id.removeprefix("D").split(":")
    return int(session), int(turn)


def in_order(turn_ids: list[str]) -> list[str]:
    return sorted(dict.fromkeys(turn_ids), key=_place_in_conversation)


@cache
def _small_talk() -> dict[str, list[str]]:
    bank: dict[str, list[str]] = read_toml("smalltalk.toml")
    return bank


class Voice:
    """The two speakers and their small talk, drawn with few repeats over a whole conversation."""

    def __init__(self, people: tuple[Person, Person], rng: Random) -> None:
        self.people, self.rng = people, rng
        self._decks = {name: Deck(texts, rng) for name, texts in _small_talk().items()}

    def draw(self, bank: str) -> str:
        """One text with its alternatives resolved."""
        return pick_wording(self._decks[bank].draw(), self.rng)


class SessionWriter:
    """Writes one session turn by turn. The speakers always alternate."""

    def __init__(self, voice: Voice, number: int, spoken_on: date) -> None:
        self.spoken_on = spoken_on
        self.utterances: list[Utterance] = []
        self._voice, self._rng, self._number = voice, voice.rng, number
        self._next = self._rng.randrange(2)

    def open(self) -> None:
        self._exchange("openings")

    def close(self) -> None:
        self._exchange("closings")

    def chat(self) -> None:
        """Adds small talk, which no question asks about."""
        self.tell(Scene(self._voice.draw("topics"), self._next, mood="chat"), with_link=self._rng.random() < 0.3)

    def tell(self, scene: Scene, when: DatePhrase | None = None, *, with_link: bool = True) -> ScenePlacement:
        """Adds the turns of a scene, some with an additional sentence."""
        lines = scene.telling.split("\n")
        first = scene.teller if lines[0].startswith("A") else 1 - scene.teller
        other_is_next = first != self._next
        if other_is_next:
            # The other speaker is next: they first say something that leads to the scene.
            fallback_bank = "handovers" if len(self.utterances) > 3 else "settlings"
            self._say(self._fill(self._voice.draw("bridges" if lines[0].startswith("A") else fallback_bank), {}))
        by_slot: dict[str, tuple[str, ...]] = {}
        teller_turns: list[str] = []
        question_turns: tuple[str, ...] = ()  # a question without which the next turn makes no sense
        mentions = self._rng.sample(scene.mentions, len(scene.mentions))
        identifying_turns: set[str] = set()
        mentions_left = len(mentions)
        for index, line in enumerate(lines):
            role, _, template = line.partition(": ")
            wording = pick_wording(template, self._rng)
            slots = slots_in(wording)
            key_is_known = scene.key in by_slot or scene.key in slots
            text, _, caption = self._fill(wording, scene.values, when.phrase if when else "").partition(" #")
            if index == 0 and role == "A" and with_link and not other_is_next:
                text = self._link(text)
            if index or role == "A":
                text = self._embellish(text, scene, role[0], mentions if key_is_known else [])
            if not caption and self._rng.random() < _EXTRA_CAPTION_CHANCE:
                caption = self._voice.draw("captions")
            turn_id = self._say(text, caption)
            for slot in slots:
                by_slot.setdefault(slot, (*question_turns, turn_id))
            if scene.key in slots or len(mentions) < mentions_left:
                identifying_turns.add(turn_id)
            mentions_left = len(mentions)
            question_turns = (turn_id,) if role.endswith("+") else ()
            if role[0] == "A":
                teller_turns.append(turn_id)
        return ScenePlacement(by_slot, tuple(teller_turns), scene.key, frozenset(identifying_turns))

    def _exchange(self, bank: str) -> None:
        for text in self._voice.draw(bank).split("|"):
            self._say(self._fill(text, {}))

    def _fill(self, template: str, values: Mapping[str, Value], when: str = "") -> str:
        speaker, listener = self._voice.people[self._next], self._voice.people[1 - self._next]
        return fill_slots(template, values, {"you": listener.who, "when": when}, speaker)

    def _link(self, text: str) -> str:
        link = self._fill(self._voice.draw("links"), {})
        if not link or link.endswith(". ") or link.endswith("? ") or text.startswith(("I ", "I'")):
            return link + text
        return link + text[0].lower() + text[1:]

    def _embellish(self, text: str, scene: Scene, role: str, mentions: list[str]) -> str:
        teller = role == "A"
        if not teller and scene.mood in ("good", "bad") and self._rng.random() < _EXCLAMATION_CHANCE:
            text = f"{self._fill(self._voice.draw(f'calls_{scene.mood}'), {})} {text}"
        if text.endswith("?"):  # a remark after the question would delay the answer
            if scene.mood not in ("good", "bad") or len(text) > 70 or self._rng.random() < 0.5:
                return text
            return f"{self._voice.draw('fillers_teller' if teller else 'fillers_listener')} {text}"
        if teller and mentions and self._rng.random() < _MENTION_CHANCE:
            mention = pick_wording(mentions.pop(), self._rng)
            return f"{text} {sentence_case(self._fill(mention, choose_wordings(scene.values, self._rng)))}"
        if scene.mood == "chat":
            return f"{text} {self._voice.draw('rambles')}" if self._rng.random() < _RAMBLE_CHANCE else text
        if scene.mood and self._rng.random() < _FEELING_CHANCE:
            return f"{text} {self._voice.draw(('tails_teller_' if teller else 'tails_listener_') + scene.mood)}"
        return text

    def _say(self, text: str, caption: str = "") -> str:
        turn_id = f"D{self._number}:{len(self.utterances) + 1}"
        text = sentence_case(text)
        if "ince " in text:
            text = _SINCE_PREPOSITION.sub(r"\1 ", text)
        self.utterances.append(Utterance(turn_id, self._next, text, caption or None))
        self._next = 1 - self._next
        return turn_id
