"""The story of two friends: which facts they tell in which session, and which turns tell them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

from engram_eval.datasets.synthetic.dates import DatePhrase, future_date, next_time, past_date
from engram_eval.datasets.synthetic.dialogue import Scene, ScenePlacement, SessionWriter, Utterance, Voice
from engram_eval.datasets.synthetic.language import Deck, Person, Value
from engram_eval.datasets.synthetic.world import (
    Chain,
    Event,
    Fillings,
    Trait,
    chains,
    draw_events,
    draw_two_friends,
    event_kinds,
    fits,
    plans,
    traits,
)

_TURNS_PER_SCENE = 5.3
_SHARE_OF_SCENES = (
    0.72  # share of the turns that tell facts; the others are greetings, small talk and talk about past events
)
_LONGEST_SPAN = timedelta(days=365 * 30)


@dataclass(frozen=True, slots=True)
class ChainStep:
    """One state of a fact that changes over time."""

    chain: Chain
    speaker: int
    values: Mapping[str, Value]
    initial: bool


@dataclass(frozen=True, slots=True)
class PlanStage:
    """A plan when it is made, or its outcome."""

    speaker: int
    values: Mapping[str, Value]
    stage: str  # "made", "done" or "dropped"


@dataclass(frozen=True, slots=True)
class TraitFact:
    """A personality trait, told once."""

    trait: Trait
    speaker: int


Fact = Event | ChainStep | PlanStage | TraitFact


@dataclass(frozen=True, slots=True)
class ToldFact:
    """A fact with the turns that tell it and the date of their session."""

    fact: Fact
    placement: ScenePlacement
    when: DatePhrase | None
    spoken_on: date


@dataclass(frozen=True, slots=True)
class ToldSession:
    number: int
    started_at: datetime
    utterances: tuple[Utterance, ...]
    told_facts: tuple[ToldFact, ...]


def tell_story(rng: Random, *, sessions: int, turns: int) -> tuple[tuple[Person, Person], Iterator[ToldSession]]:
    """Two people and an iterator over their sessions. The number of facts has an upper bound; small talk fills the rest."""
    people = draw_two_friends(rng)
    voice = Voice(people, rng)
    agenda = _agenda(rng, sessions, turns)
    first = datetime(rng.choice((2021, 2022, 2023)), rng.randint(1, 12), rng.randint(1, 28), rng.randint(9, 21), 14)
    mean_gap = min(timedelta(days=12), _LONGEST_SPAN / sessions)
    return people, _write_sessions(voice, agenda, first, mean_gap, sessions, turns)


def _write_sessions(
    voice: Voice, agenda: dict[int, list[Fact]], time: datetime, mean_gap: timedelta, sessions: int, turns: int
) -> Iterator[ToldSession]:
    rng, written, past_events, tellings = voice.rng, 0, list[Event](), TellingDecks(voice.rng)
    for number in range(1, sessions + 1):
        target = round(turns * number / sessions) - written
        session = SessionWriter(voice, number, time.date())
        if target > 6:
            session.open()
        told_facts = [_tell(session, fact, tellings) for fact in agenda.pop(number, ())]
        while len(session.utterances) < target - 3:
            if past_events and rng.random() < 0.45:
                event = past_events.pop(rng.randrange(max(1, len(past_events) // 2)))
                session.tell(Scene(rng.choice(event.kind.followups), event.speaker, event.values))
            else:
                session.chat()
        session.close()
        written += len(session.utterances)
        past_events += [item.fact for item in told_facts if isinstance(item.fact, Event)]
        yield ToldSession(number, time, tuple(session.utterances), tuple(told_facts))
        time = next_time(rng, time, mean_gap, daytime_only=True)


def _tell(session: SessionWriter, fact: Fact, tellings: TellingDecks) -> ToldFact:
    rng = tellings.rng
    when: DatePhrase | None = None
    if isinstance(fact, TraitFact):
        scene = Scene(rng.choice(fact.trait.tellings), fact.speaker)
    elif isinstance(fact, PlanStage):
        when = future_date(rng, session.spoken_on) if fact.stage == "made" else None
        mood = {"made": "", "done": "good", "dropped": "bad"}[fact.stage]
        telling = tellings.draw("plan " + fact.stage, plans()[fact.stage])
        scene = Scene(telling, fact.speaker, fact.values, mood, "plan", plans()["mentions"])
    elif isinstance(fact, ChainStep):
        when = None if fact.initial else past_date(rng, session.spoken_on, within=10)
        stage = "first" if fact.initial else "later"
        telling = tellings.draw(f"{fact.chain.name} {stage}", fact.chain.first if fact.initial else fact.chain.later)
        scene = Scene(telling, fact.speaker, fact.values, "", "state", fact.chain.mentions)
    else:
        when, kind = past_date(rng, session.spoken_on), fact.kind
        mood = "good" if kind.good else "bad"
        scene = Scene(tellings.draw(kind.name, kind.tellings), fact.speaker, fact.values, mood, kind.key, kind.mentions)
    return ToldFact(fact, session.tell(scene, when), when, session.spoken_on)


class TellingDecks:
    """The next dialogue for a kind of fact: each one is used once before any repeats."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self._decks: dict[str, Deck[str]] = {}

    def draw(self, kind: str, tellings: Sequence[str]) -> str:
        return self._decks.setdefault(kind, Deck(tellings, self.rng)).draw().strip()


def _agenda(rng: Random, sessions: int, turns: int) -> dict[int, list[Fact]]:
    """Session number -> facts to tell in it. Linked facts keep their order and are at least a third of the story apart."""
    fillings = Fillings(rng)
    scene_count = round(turns * _SHARE_OF_SCENES / _TURNS_PER_SCENE)
    agenda: dict[int, list[Fact]] = defaultdict(list)
    third = max(1, sessions // 3)

    def session_between(low: int, high: int) -> int:
        return min(sessions, rng.randint(min(low, sessions), max(low, min(high, sessions))))

    linked_facts: list[list[Fact]] = []
    for chain in chains():
        for speaker in (0, 1):
            steps = [
                ChainStep(chain, speaker, fillings.draw(chain.name, chain.slots), initial) for initial in (True, False)
            ]
            linked_facts.append(list(steps))
    for speaker in (0, 1):
        for outcome in rng.sample(("done", "dropped", "done", "dropped"), 3):
            values = fillings.draw("plan", plans()["slots"])
            linked_facts.append([PlanStage(speaker, values, "made"), PlanStage(speaker, values, outcome)])
    rng.shuffle(linked_facts)
    events = draw_events(rng, fillings)
    trait_facts = _draw_traits(rng, events, linked_facts)

    # In a short conversation, each kind of fact gets its share of the scenes.
    linked_facts = linked_facts[: scene_count * 28 // 90 // 2] if sessions > 2 else []
    trait_facts = trait_facts[: max(2, scene_count * 12 // 90)]
    events = events[: max(1, scene_count - 2 * len(linked_facts) - len(trait_facts))]
    for before, after in linked_facts:
        agenda[session_between(1, third)].append(before)
        agenda[session_between(2 * third, sessions)].append(after)
    single_facts: list[Fact] = [*events, *trait_facts]
    for fact in single_facts:
        candidates = rng.sample(range(1, sessions + 1), min(sessions, 4))
        agenda[min(candidates, key=lambda number: _crowding(agenda.get(number, ()), fact))].append(fact)
    for facts in agenda.values():
        rng.shuffle(facts)
    return agenda


def _crowding(facts: Sequence[Fact], fact: Fact) -> int:
    """How full a session is for the fact. Two events of one kind in one session would sound alike."""
    alike = isinstance(fact, Event) and any(isinstance(f, Event) and f.kind is fact.kind for f in facts)
    return len(facts) + (100 if alike else 0)


def _draw_traits(rng: Random, events: list[Event], linked_facts: list[list[Fact]]) -> list[TraitFact]:
    """Traits, each given to a speaker whose other facts do not contradict it."""
    spoken_text = ["", ""]
    for event in events:
        spoken_text[event.speaker] += event.kind.name + " ".join(value.spoken for value in event.values.values()) + "\n"
        spoken_text[event.speaker] += " ".join(event.kind.tellings)
    for pair in linked_facts:
        for fact in pair:
            if isinstance(fact, ChainStep | PlanStage):
                spoken_text[fact.speaker] += " ".join(value.spoken for value in fact.values.values()) + "\n"
    trait_facts = []
    for index, trait in enumerate(rng.sample(traits(), len(traits()))):
        fitting = [speaker for speaker in (index % 2, 1 - index % 2) if fits(trait, spoken_text[speaker])]
        if fitting:
            trait_facts.append(TraitFact(trait, fitting[0]))
    return trait_facts


def endless_sessions(
    rng: Random, *, sessions: int, turns_per_session: int
) -> tuple[tuple[Person, Person], Iterator[ToldSession]]:
    """Any number of sessions, for load tests. Facts repeat with other values. It uses constant memory and has no questions."""
    people = draw_two_friends(rng)
    return people, _write_endless_sessions(Voice(people, rng), sessions, turns_per_session)


def _write_endless_sessions(voice: Voice, sessions: int, turns_per_session: int) -> Iterator[ToldSession]:
    rng = voice.rng
    fillings, tellings = Fillings(rng), TellingDecks(rng)
    mean_gap = min(timedelta(hours=9), _LONGEST_SPAN / sessions)
    time = datetime(2015, 1, 1, 9, 14)
    written = 0
    for number in range(1, sessions + 1):
        target = turns_per_session * number - written
        session = SessionWriter(voice, number, time.date())
        if target > 6:
            session.open()
        while len(session.utterances) < target - 3:
            if rng.random() < 0.7:
                kind = rng.choice(event_kinds())
                _tell(session, Event(kind, rng.randrange(2), fillings.draw(kind.name, kind.slots)), tellings)
            else:
                session.chat()
        session.close()
        written += len(session.utterances)
        yield ToldSession(number, time, tuple(session.utterances), ())
        time = next_time(rng, time, mean_gap, daytime_only=False)
