"""Questions about a told story, in LoCoMo's five categories and in about its proportions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from random import Random
from typing import Any

from engram_eval.datasets.synthetic.dialogue import in_order
from engram_eval.datasets.synthetic.language import Person, choose_wordings, gold_text, question_text
from engram_eval.datasets.synthetic.story import ChainStep, PlanStage, ToldFact, TraitFact
from engram_eval.datasets.synthetic.world import Event, plans

MULTI_HOP, TEMPORAL, OPEN_DOMAIN, SINGLE_HOP, ADVERSARIAL = 1, 2, 3, 4, 5
OFFICIAL_COUNTS = {MULTI_HOP: 282, TEMPORAL: 321, OPEN_DOMAIN: 96, SINGLE_HOP: 841, ADVERSARIAL: 446}
TURNS_PER_QUESTION = 3

Question = dict[str, Any]


def questions_on(
    told_facts: Sequence[ToldFact], people: tuple[Person, Person], turns: int, rng: Random
) -> list[Question]:
    """Questions in the official format, in random order. A short story may have too few facts for some categories."""
    makers = {
        MULTI_HOP: _multi_hop,
        TEMPORAL: _temporal,
        OPEN_DOMAIN: _open_domain,
        SINGLE_HOP: _single_hop,
        ADVERSARIAL: _adversarial,
    }
    chosen: list[Question] = []
    texts: set[str] = set()
    for category, make_questions in makers.items():
        quota = round(turns / TURNS_PER_QUESTION * OFFICIAL_COUNTS[category] / sum(OFFICIAL_COUNTS.values()))
        candidates = list(make_questions(told_facts, people, rng))
        rng.shuffle(candidates)
        for question in candidates:
            if quota and question["question"] not in texts:
                texts.add(question["question"])
                chosen.append(question)
                quota -= 1
    rng.shuffle(chosen)
    return chosen


def _question(category: int, text: str, answer: str, evidence: list[str]) -> Question:
    key = "adversarial_answer" if category == ADVERSARIAL else "answer"
    answer = answer[:1].upper() + answer[1:]
    return {"question": text, key: answer, "evidence": in_order(evidence), "category": category}


def _single_hop(told_facts: Sequence[ToldFact], people: tuple[Person, Person], rng: Random) -> Iterator[Question]:
    for item, template, answer, slots, speaker in _single_turn_facts(told_facts):
        person = people[speaker]
        text = question_text(template, item.fact.values, person, rng)
        yield _question(SINGLE_HOP, text, gold_text(answer, item.fact.values, person), item.placement.turns(*slots))


def _adversarial(told_facts: Sequence[ToldFact], people: tuple[Person, Person], rng: Random) -> Iterator[Question]:
    """Questions about one speaker and something that only the other did.

    A key occurs once in a conversation, so these questions have no answer.
    """
    for item, template, answer, slots, speaker in _single_turn_facts(told_facts):
        if isinstance(item.fact, ChainStep):
            continue  # both speakers have a home, a job and so on, so the question would have an answer
        other = people[1 - speaker]
        text = question_text(template, item.fact.values, other, rng)
        yield _question(ADVERSARIAL, text, gold_text(answer, item.fact.values, other), item.placement.turns(*slots))


def _single_turn_facts(told_facts: Sequence[ToldFact]) -> Iterator[tuple[Any, str, str, tuple[str, ...], int]]:
    """Facts that one turn answers: the fact, question template, gold template, slots needed, and speaker."""
    for item in told_facts:
        fact = item.fact
        if isinstance(fact, Event):
            for question in fact.kind.questions:
                slots = tuple(slot for slot in fact.values if "{" + slot in question.gold)
                if all(slot in item.placement.by_slot for slot in slots):
                    yield item, _alternatives(question.wordings), question.gold, slots, fact.speaker
        elif isinstance(fact, PlanStage):
            bank = plans()
            slot, wording = {
                "made": ("partner", bank["with_whom"]),
                "done": ("how_done", bank["result"]),
                "dropped": ("why_not", bank["why"]),
            }[fact.stage]
            yield item, _alternatives(wording), "{" + slot + ".gold}", (slot,), fact.speaker
        elif isinstance(fact, ChainStep) and not fact.initial:
            yield item, _alternatives(fact.chain.now), "{state.gold}", ("state",), fact.speaker


def _alternatives(wordings: Sequence[str]) -> str:
    # Wordings may contain alternatives themselves: `pick_wording` resolves the innermost first.
    return wordings[0] if len(wordings) == 1 else "[" + "|".join(wordings) + "]"


def _temporal(told_facts: Sequence[ToldFact], people: tuple[Person, Person], rng: Random) -> Iterator[Question]:
    for item in told_facts:
        fact, when = item.fact, item.when
        if when is None or isinstance(fact, TraitFact):
            continue
        person = people[fact.speaker]
        if isinstance(fact, Event):
            template, slots = "When did {who} " + fact.kind.act + "?", ("when", fact.kind.key)
        elif isinstance(fact, ChainStep):
            template, slots = rng.choice(fact.chain.since), ("when", "state")
        else:
            template, slots = rng.choice(plans()["when_for"]), ("when", "plan")
        text = question_text(template, fact.values, person, rng)
        yield _question(TEMPORAL, text, when.gold, item.placement.turns(*slots))


def _open_domain(told_facts: Sequence[ToldFact], people: tuple[Person, Person], rng: Random) -> Iterator[Question]:
    for item in told_facts:
        if isinstance(item.fact, TraitFact):
            person, trait = people[item.fact.speaker], item.fact.trait
            text = question_text(rng.choice(trait.wordings), {}, person, rng)
            yield _question(OPEN_DOMAIN, text, gold_text(trait.gold, {}, person), list(item.placement.teller_turns))


def _multi_hop(told_facts: Sequence[ToldFact], people: tuple[Person, Person], rng: Random) -> Iterator[Question]:
    events_by_kind: dict[tuple[str, int], list[ToldFact]] = defaultdict(list)
    chain_steps: dict[tuple[str, int], list[ToldFact]] = defaultdict(list)
    plans_by_name: dict[tuple[str, int], list[ToldFact]] = defaultdict(list)
    for item in told_facts:
        fact = item.fact
        if isinstance(fact, Event):
            events_by_kind[fact.kind.name, fact.speaker].append(item)
        elif isinstance(fact, ChainStep):
            chain_steps[fact.chain.name, fact.speaker].append(item)
        elif isinstance(fact, PlanStage):
            plans_by_name[fact.values["plan"].spoken, fact.speaker].append(item)
    for (_, speaker), items in events_by_kind.items():
        yield from _list_or_count(items, people[speaker], rng)
    for (_, speaker), pair in chain_steps.items():
        yield from _previous_state(pair, people[speaker], rng)
    for (_, speaker), pair in plans_by_name.items():
        yield from _plan_outcome(pair, people[speaker], rng)
    yield from _which_came_first([items[0] for items in events_by_kind.values()], people, rng)
    yield from _state_at_event(told_facts, chain_steps, people, rng)


def _list_or_count(items: list[ToldFact], person: Person, rng: Random) -> Iterator[Question]:
    """A list or a count of all events of one kind that one person had."""
    events = [item.fact for item in items if isinstance(item.fact, Event)]
    kind = events[0].kind
    if len(events) < 2 or len({item.placement.turns(kind.key)[0].split(":")[0] for item in items}) < 2:
        return
    evidence = [turn for item in items for turn in item.placement.turns(kind.key)]
    if kind.count and rng.random() < 0.3:
        yield _question(MULTI_HOP, question_text(kind.count, {}, person, rng), str(len(events)), evidence)
    else:
        answer = ", ".join(event.key.form("gold", person) for event in events)
        yield _question(MULTI_HOP, question_text(_alternatives(kind.many), {}, person, rng), answer, evidence)


def _previous_state(pair: list[ToldFact], person: Person, rng: Random) -> Iterator[Question]:
    """What the state was before: needs the old state, and the new one to know which is old."""
    if (
        len(pair) == 2
        and isinstance(before := pair[0].fact, ChainStep)
        and isinstance(after := pair[1].fact, ChainStep)
    ):
        text = question_text(rng.choice(after.chain.before), after.values, person, rng)
        evidence = pair[0].placement.turns("state") + pair[1].placement.turns("state")
        yield _question(MULTI_HOP, text, before.values["state"].form("gold", person), evidence)


def _plan_outcome(pair: list[ToldFact], person: Person, rng: Random) -> Iterator[Question]:
    if len(pair) != 2 or not isinstance(outcome := pair[1].fact, PlanStage):
        return
    text = question_text(rng.choice(plans()["outcome"]), outcome.values, person, rng)
    slot, answer = ("why_not", "No, because {}") if outcome.stage == "dropped" else ("how_done", "Yes, it was {}")
    evidence = pair[0].placement.turns("plan") + pair[1].placement.turns("plan", slot)
    yield _question(MULTI_HOP, text, answer.format(gold_text("{" + slot + ".gold}", outcome.values, person)), evidence)


def _which_came_first(items: list[ToldFact], people: tuple[Person, Person], rng: Random) -> Iterator[Question]:
    """Which of two events came first, for events whose dates do not overlap."""
    pairs = list(combinations(items, 2))
    for first, second in rng.sample(pairs, min(len(pairs), 5)):
        if not (first.when and second.when and isinstance(first.fact, Event) and isinstance(second.fact, Event)):
            continue
        earlier, later = sorted((first, second), key=lambda item: item.when.first if item.when else 0)
        if not (earlier.when and later.when and earlier.when.last < later.when.first):
            continue
        nouns = [_event_noun(item, people, rng) for item in (earlier, later)]
        shuffled = rng.sample(nouns, 2)
        evidence = [turn for item in (earlier, later) for turn in item.placement.turns("when", _event_key(item))]
        yield _question(MULTI_HOP, f"Which came first, {shuffled[0]} or {shuffled[1]}?", nouns[0], evidence)


def _state_at_event(
    told_facts: Sequence[ToldFact],
    chain_steps: dict[tuple[str, int], list[ToldFact]],
    people: tuple[Person, Person],
    rng: Random,
) -> Iterator[Question]:
    """The state of a fact that changes at the time of an event, such as where somebody lived then."""
    events = [item for item in told_facts if isinstance(item.fact, Event) and item.when]
    for (_, speaker), pair in chain_steps.items():
        if len(pair) != 2 or not isinstance(change := pair[1].fact, ChainStep) or not change.chain.during:
            continue
        changed = pair[1].when
        own_events = [item for item in events if isinstance(item.fact, Event) and item.fact.speaker == speaker]
        for item in rng.sample(own_events, min(len(own_events), 3)):
            if not (item.when and changed):
                continue
            state = pair[1] if item.when.first > changed.last else pair[0] if item.when.last < changed.first else None
            if state is None or not isinstance(state.fact, ChainStep):
                continue
            if item.when.first <= pair[0].spoken_on:
                continue  # when the first state began is unknown
            text = question_text(
                change.chain.during, {}, people[speaker], rng, event=_event_noun(item, people, rng, pronoun=True)
            )
            evidence = state.placement.turns("state") + item.placement.turns("when", _event_key(item))
            evidence += pair[1].placement.turns("when", "state")
            answer = state.fact.values["state"].form("gold", people[speaker])
            yield _question(MULTI_HOP, text, answer, evidence)
            break


def _event_key(item: ToldFact) -> str:
    assert isinstance(item.fact, Event)
    return item.fact.kind.key


def _event_noun(item: ToldFact, people: tuple[Person, Person], rng: Random, *, pronoun: bool = False) -> str:
    assert isinstance(item.fact, Event)
    person = people[item.fact.speaker]
    template = item.fact.kind.noun.replace("{whose}", "{his}") if pronoun else item.fact.kind.noun
    return gold_text(template, choose_wordings(item.fact.values, rng), person)
