"""Templates that turn facts into sentences.

A template is text with alternatives, `[one|another]`, and slots, `{slot}` or `{slot.form}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")

_PLAIN_SHARE = 0.8
"""Share of questions that name a thing nearly as the turn did; the others paraphrase it, against keyword matching."""

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{([a-z_.]+)\}")
_SENTENCE_START = re.compile(r"(^|[.!?] )([a-z])")
_ARTICLE = re.compile(r"^(an?|the|some) ")
_FIRST_PERSON = re.compile(r"\b(we|our|I'm|I|my|me)\b")
# Templates are written for names; with "I" in place of the name, the verb before it must change.
_VERB_BEFORE_I = re.compile(r"\b([Dd]oes|[Ii]s|[Hh]as) I\b")
_WITH_I = {"does": "do I", "is": "am I", "has": "have I", "Does": "Do I", "Is": "Am I", "Has": "Have I"}


@dataclass(frozen=True, slots=True)
class Person:
    """A grammatical person: the words that refer to somebody in a question or in a gold answer."""

    who: str
    who_of: str
    whose: str
    he: str
    him: str
    his: str
    himself: str

    def words(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in self.__slots__}


def woman(name: str) -> Person:
    return Person(name, name, f"{name}'s", "she", "her", "her", "herself")


def man(name: str) -> Person:
    return Person(name, name, f"{name}'s", "he", "him", "his", "himself")


USER_IN_QUESTION = Person("I", "me", "my", "I", "me", "my", "myself")
"""The user of an assistant, in a question."""
USER_IN_ANSWER = Person("you", "you", "your", "you", "you", "your", "yourself")
"""The user of an assistant, in a gold answer."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value for a slot, in the forms that turns (`spoken`), questions and gold answers use.

    A question uses `paraphrase` or the `plain` form, which is nearer to the spoken one.
    """

    spoken: str
    paraphrase: str
    plain: str
    gold: str

    @classmethod
    def parse(cls, text: str) -> Value:
        spoken, paraphrase, gold, *_ = [part.strip() for part in text.split("/")] + ["", ""]
        paraphrase, _, plain = paraphrase.partition(" or ")
        return cls(spoken, paraphrase or spoken, plain or paraphrase or spoken, gold)

    def with_wording(self, rng: Random) -> Value:
        """The value with one of its two question forms chosen for both."""
        return Value(self.spoken, self.plain, self.plain, self.gold) if rng.random() < _PLAIN_SHARE else self

    def form(self, name: str, person: Person) -> str:
        if name == "asked":
            return self.paraphrase
        if name == "bare":
            return _ARTICLE.sub("", self.spoken)
        if name == "gold":
            # Verbs agree with "you" as they do with "I", so the spoken form also works for the user of an assistant.
            return self.gold if self.gold and person is not USER_IN_ANSWER else shift_person(self.spoken, person)
        return self.spoken


def shift_person(text: str, person: Person) -> str:
    """Replaces the first person: `my sister` becomes `her sister` or `your sister`."""
    replacements = {"we": "you", "our": "your"} if person is USER_IN_ANSWER else {"we": "they", "our": "their"}
    replacements |= {"I": person.he, "my": person.his, "me": person.him, "I'm": f"{person.he} {_be(person)}"}
    return _FIRST_PERSON.sub(lambda match: replacements[match[1]], text)


def _be(person: Person) -> str:
    return "are" if person.he == "you" else "is"


def pick_wording(template: str, rng: Random) -> str:
    """Resolves all alternatives of the template."""
    while "[" in template:
        template = _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), template)
    return template


def fill_slots(template: str, values: Mapping[str, Value], words: Mapping[str, str], person: Person) -> str:
    """The template with all slots filled. A value may itself contain slots, for pronouns."""

    def fill_slot(match: re.Match[str]) -> str:
        slot, _, form = match[1].partition(".")
        return words[slot] if slot in words else values[slot].form(form, person)

    text = _SLOT.sub(fill_slot, template)
    return _SLOT.sub(fill_slot, text) if "{" in text else text


def slots_in(template: str) -> list[str]:
    """The names of the slots in a template, in order."""
    return [match[1].partition(".")[0] for match in _SLOT.finditer(template)]


def sentence_case(text: str) -> str:
    return _SENTENCE_START.sub(lambda match: match[1] + match[2].upper(), text)


def question_text(template: str, values: Mapping[str, Value], person: Person, rng: Random, **words: str) -> str:
    """The text of a question about `person`."""
    text = fill_slots(pick_wording(template, rng), choose_wordings(values, rng), person.words() | words, person)
    return sentence_case(_VERB_BEFORE_I.sub(lambda match: _WITH_I[match[1]], text))


def choose_wordings(values: Mapping[str, Value], rng: Random) -> dict[str, Value]:
    return {slot: value.with_wording(rng) for slot, value in values.items()}


def gold_text(template: str, values: Mapping[str, Value], person: Person) -> str:
    text = fill_slots(template, values, person.words(), person)
    return text.replace("you was", "you were") if person is USER_IN_ANSWER else text


class Deck(Generic[T]):
    """Draws every card once in random order, then shuffles again."""

    def __init__(self, cards: Sequence[T], rng: Random) -> None:
        self._cards, self._rng = cards, rng
        self._undrawn: list[T] = []

    def draw(self) -> T:
        if not self._undrawn:
            self._undrawn = list(self._cards)
            self._rng.shuffle(self._undrawn)
        return self._undrawn.pop()
