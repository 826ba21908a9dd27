"""One question per history in LongMemEval's six types, and the remarks that its sessions need for the answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from random import Random
from typing import Any

from engram_eval.datasets.synthetic.dates import MONTHS, DatePhrase, ordinal, past_date
from engram_eval.datasets.synthetic.language import (
    USER_IN_ANSWER,
    USER_IN_QUESTION,
    Value,
    choose_wordings,
    fill_slots,
    gold_text,
    pick_wording,
    question_text,
    slots_in,
)
from engram_eval.datasets.synthetic.world import Event, EventKind, Fillings, chains, event_kinds, read_toml

# The types at odd indices can be unanswerable (`_abs`). Every sixteenth question is, always at an odd index: 31 of 500.
TYPES = (
    "single-session-assistant",
    "single-session-user",
    "single-session-preference",
    "temporal-reasoning",
    "knowledge-update",
    "multi-session",
)
_ABSTAIN_EVERY, _ABSTAIN_AT = 16, 7
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_DOLLARS = {
    "forty dollars": 40,
    "sixty-five dollars": 65,
    "ninety dollars": 90,
    "a hundred and twenty dollars": 120,
    "two hundred dollars": 200,
    "two hundred and fifty dollars": 250,
    "three hundred and ten dollars": 310,
}


@dataclass(frozen=True, slots=True)
class Remark:
    """A remark of the user. `reply` is the assistant's answer if the answer contains the fact."""

    topic: str
    text: str
    evidence: bool
    reply: str = ""


@dataclass(slots=True)
class Task:
    """A question, its answer, and the remarks per session index: the evidence and the near misses."""

    type: str
    question: str = ""
    answer: str = ""
    unanswerable: bool = False
    used: set[str] = field(default_factory=set)
    """Kinds of events and facts that must not occur elsewhere in the history."""
    remarks: dict[int, list[Remark]] = field(default_factory=lambda: defaultdict(list))


@dataclass(slots=True)
class HistoryContext:
    """What all task makers need: the session times of the history and its slot values."""

    rng: Random
    times: Sequence[datetime]
    asked_at: datetime
    fillings: Fillings

    def sessions(self, count: int) -> list[int]:
        """`count` session indices in ascending order, distinct if there are enough sessions."""
        total = len(self.times)
        if total >= count:
            return sorted(self.rng.sample(range(total), count))
        return sorted(self.rng.choices(range(total), k=count))

    def event(self, kind: EventKind) -> Event:
        return Event(kind, 0, self.fillings.draw(kind.name, kind.slots))


def make_task(index: int, rng: Random, times: Sequence[datetime], asked_at: datetime) -> Task:
    makers: dict[str, Callable[[Task, HistoryContext], None]] = {
        "single-session-user": _single_session_user,
        "single-session-assistant": _single_session_assistant,
        "single-session-preference": _single_session_preference,
        "temporal-reasoning": _temporal_reasoning,
        "knowledge-update": _knowledge_update,
        "multi-session": _multi_session,
    }
    task = Task(TYPES[index % len(TYPES)], unanswerable=index % _ABSTAIN_EVERY == _ABSTAIN_AT)
    makers[task.type](task, HistoryContext(rng, times, asked_at, Fillings(rng)))
    return task


def make_remark(event: Event, aside: str, when: DatePhrase, rng: Random, *, evidence: bool) -> Remark:
    """The user mentions the event in passing."""
    return Remark(topic_of(event.kind.name), _fill_aside(aside, event.values, when, rng), evidence)


def _fill_aside(aside: str, values: Mapping[str, Value], when: DatePhrase | None, rng: Random) -> str:
    return fill_slots(pick_wording(aside, rng), values, {"when": when.phrase if when else ""}, USER_IN_QUESTION)


@cache
def _topics() -> dict[str, str]:
    topics = read_toml("assistant.toml")["topic"]
    return {kind: topic["name"] for topic in topics for kind in topic.get("kinds", ())}


def topic_of(kind: str) -> str:
    return _topics()[kind]


@cache
def _lists() -> dict[str, Any]:
    return read_toml("assistant_lists.toml")


def _not_mentioned(mentioned: str, asked: str) -> str:
    return f"You did not mention this information. You mentioned {mentioned}, but not {asked}."


def _describe(event: Event, values: Mapping[str, Value]) -> tuple[str, str]:
    """A noun phrase for the event, as the question and as the answer put it."""
    return gold_text(event.kind.noun, values, USER_IN_QUESTION), gold_text(event.kind.noun, values, USER_IN_ANSWER)


def _single_session_user(task: Task, history: HistoryContext) -> None:
    rng = history.rng
    kind = rng.choice(event_kinds())
    mentioned, other = history.event(kind), history.event(kind)
    question = rng.choice(kind.questions)
    needed = [slot for slot in slots_in(question.gold) if slot in mentioned.values]
    asides = [aside for aside in kind.asides if all(slot in slots_in(aside) for slot in needed)]
    session, other_session = rng.sample(history.sessions(2), 2)
    task.used = {kind.name}
    aside = rng.choice(asides)
    when = past_date(rng, history.times[session].date(), within=20)
    task.remarks[session].append(make_remark(mentioned, aside, when, rng, evidence=True))
    if task.unanswerable:
        values = choose_wordings(other.values, rng)
        _, mentioned_noun = _describe(mentioned, choose_wordings(mentioned.values, rng))
        task.answer = _not_mentioned(mentioned_noun, _describe(other, values)[1])
        task.question = question_text(rng.choice(question.wordings), values, USER_IN_QUESTION, rng)
        return
    task.question = question_text(rng.choice(question.wordings), mentioned.values, USER_IN_QUESTION, rng)
    task.answer = _capital(gold_text(question.gold, mentioned.values, USER_IN_ANSWER))
    distraction = past_date(rng, history.times[other_session].date(), within=20)
    task.remarks[other_session].append(make_remark(other, rng.choice(kind.asides), distraction, rng, evidence=False))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _single_session_assistant(task: Task, history: HistoryContext) -> None:
    rng, bank = history.rng, _lists()
    asked_list, other_list = rng.sample(bank["list"], 2)
    town, other_town = rng.sample(bank["towns"], 2)
    names = [f"The {a} {b}" for a, b in zip(rng.sample(bank["first"], 14), rng.sample(bank["second"], 14), strict=True)]
    session, *other_sessions = rng.sample(history.sessions(3), 3)
    features = rng.sample(asked_list["features"], 5)
    task.remarks[session].append(_recommendation(asked_list, town, names[:5], features, evidence=True))
    near_misses = ((asked_list, other_town, names[5:9]), (other_list, town, names[9:13]))
    for other_session, (entry, place, other_names) in zip(other_sessions, near_misses, strict=True):
        other_features = rng.sample(entry["features"], len(other_names))
        remark = _recommendation(entry, place, other_names, other_features, evidence=False)
        task.remarks[other_session].append(remark)
    position = rng.randrange(5)
    if rng.random() < 0.5:
        task.question = (
            f"I'm going back to our conversation about {asked_list['things']} in {town}. "
            f"Which one was the {_ORDINALS[position]} on your list?"
        )
    else:
        task.question = f"Which {asked_list['thing']} in {town} did you tell me to visit for {features[position]}?"
    task.answer = names[position]


def _recommendation(
    entry: Mapping[str, Any], town: str, names: Sequence[str], features: Sequence[str], *, evidence: bool
) -> Remark:
    named = enumerate(zip(names, features, strict=True), 1)
    lines = [f"{number}. **{name}**: I'd go there for {feature}." for number, (name, feature) in named]
    reply = f"Here are a few {entry['things']} in {town} that people speak highly of:\n\n" + "\n".join(lines)
    text = f"I'll be in {town} soon. Could you recommend some {entry['things']} there?"
    return Remark("planning holidays", text, evidence, reply + "\n\nEnjoy your time there!")


def _single_session_preference(task: Task, history: HistoryContext) -> None:
    entry = history.rng.choice(_lists()["preference"])
    task.question, task.answer = entry["ask"], entry["gold"]
    task.remarks[history.sessions(1)[0]].append(Remark(entry["topic"], entry["says"], True))


def _temporal_reasoning(task: Task, history: HistoryContext) -> None:
    rng = history.rng
    kind, other_kind = rng.sample(event_kinds(), 2)
    events = [history.event(kind), history.event(other_kind)]
    task.used = {kind.name, other_kind.name}
    wordings = [choose_wordings(event.values, rng) for event in events]
    (asked, answered), (other_asked, other_answered) = (
        _describe(event, values) for event, values in zip(events, wordings, strict=True)
    )
    sessions = history.sessions(2)
    days = [_exact_date(rng, history.times[session].date()) for session in sessions]
    if not task.unanswerable and rng.random() < 0.25:
        task.remarks[sessions[0]].append(make_remark(events[0], rng.choice(kind.asides), days[0], rng, evidence=True))
        act = gold_text(pick_wording(kind.act, rng), wordings[0], USER_IN_QUESTION)
        task.question = f"How many days ago did I {act}?"
        task.answer = f"{_day_count((history.asked_at.date() - days[0].first).days)} ago"
        return
    for _ in range(20):
        if days[0].first != days[1].first:
            break
        days[1] = _exact_date(rng, history.times[sessions[1]].date())
    mentioned = 1 if task.unanswerable else 2
    for session, event, when in list(zip(sessions, events, days, strict=True))[:mentioned]:
        task.remarks[session].append(make_remark(event, rng.choice(event.kind.asides), when, rng, evidence=True))
    apart = abs((days[1].first - days[0].first).days)
    if task.unanswerable:
        task.question = f"How many days passed between {asked} and {other_asked}?"
        task.answer = _not_mentioned(answered, other_answered)
    elif rng.random() < 0.5 or apart == 0:
        task.question = f"How many days passed between {asked} and {other_asked}?"
        task.answer = f"{_day_count(apart)}. {_day_count(apart + 1)} (including the last day) is also acceptable."
    else:
        first = answered if days[0].first < days[1].first else other_answered
        choices = rng.sample((asked, other_asked), 2)
        task.question, task.answer = f"Which happened first, {choices[0]} or {choices[1]}?", _capital(first)


def _exact_date(rng: Random, spoken_on: date) -> DatePhrase:
    """A phrase that means a single day, sometimes a calendar date."""
    when = past_date(rng, spoken_on, exact=True)
    if rng.random() < 0.3:
        day = when.first
        return DatePhrase(f"on {MONTHS[day.month - 1]} {ordinal(day.day)}", day, day, when.gold)
    return when


def _day_count(count: int) -> str:
    return f"{count} day" if count == 1 else f"{count} days"


def _knowledge_update(task: Task, history: HistoryContext) -> None:
    rng = history.rng
    chain = rng.choice(chains())
    task.used = {chain.name}
    before, after = (history.fillings.draw(chain.name, chain.slots) for _ in range(2))
    early, late = history.sessions(2)
    when = past_date(rng, history.times[late].date(), within=10)
    topic = topic_of(chain.name)
    task.remarks[early].append(Remark(topic, _fill_aside(rng.choice(chain.asides_first), before, None, rng), True))
    task.remarks[late].append(Remark(topic, _fill_aside(rng.choice(chain.asides_later), after, when, rng), True))
    task.question = question_text(rng.choice(chain.now), after, USER_IN_QUESTION, rng)
    task.answer = _capital(after["state"].form("gold", USER_IN_ANSWER))


def _multi_session(task: Task, history: HistoryContext) -> None:
    """A count or a sum over events mentioned in several sessions."""
    if task.unanswerable or history.rng.random() < 0.4:
        _sum(task, history)
    else:
        _count(task, history)


def _count(task: Task, history: HistoryContext) -> None:
    rng = history.rng
    kind = rng.choice([kind for kind in event_kinds() if kind.count])
    task.used = {kind.name}
    sessions = history.sessions(rng.randint(2, 4))
    for session in sessions:
        when = past_date(rng, history.times[session].date(), within=20)
        remark = make_remark(history.event(kind), rng.choice(kind.asides), when, rng, evidence=True)
        task.remarks[session].append(remark)
    task.question = question_text(kind.count, {}, USER_IN_QUESTION, rng)
    task.answer = str(len(sessions))


def _sum(task: Task, history: HistoryContext) -> None:
    rng = history.rng
    kind = next(kind for kind in event_kinds() if kind.name == "purchase")
    task.used = {kind.name}
    purchases = [history.event(kind) for _ in range(3)]
    names = [event.values["thing"].with_wording(rng).paraphrase for event in purchases]
    counted = rng.choice((2, 3)) if not task.unanswerable else 2
    for index, (session, event) in enumerate(zip(history.sessions(3), purchases, strict=True)):
        if task.unanswerable and index == 1:
            continue
        when = past_date(rng, history.times[session].date(), within=20)
        task.remarks[session].append(make_remark(event, rng.choice(kind.asides), when, rng, evidence=index < counted))
    listed = " and ".join((", ".join(f"my {name}" for name in names[: counted - 1]), f"my {names[counted - 1]}"))
    task.question = f"How much did I spend on {listed} in total?"
    if task.unanswerable:
        task.answer = _not_mentioned(f"the price of your {names[0]}", f"what you paid for your {names[1]}")
    else:
        task.answer = f"${sum(_DOLLARS[event.values['price'].spoken] for event in purchases[:counted])}"
