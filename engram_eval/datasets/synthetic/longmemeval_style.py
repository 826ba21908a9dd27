"""LongMemEval-style histories: chats of a user with an assistant, as records in the official format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from random import Random
from typing import Any

from engram_eval.datasets.synthetic.dates import past_date, session_times
from engram_eval.datasets.synthetic.language import Person, choose_wordings, fill_slots, pick_wording, sentence_case
from engram_eval.datasets.synthetic.longmemeval_questions import Remark, Task, make_remark, make_task
from engram_eval.datasets.synthetic.world import Event, Fillings, event_kinds, read_toml

_CHARACTERS_PER_TOKEN = 4.72  # for this text in o200k_base; counting tokens would take longer than generating the text
_OWN_LIFE_SHARE, _HEARSAY_SHARE = 0.35, 0.25  # shares of the sessions that the question does not need
_OTHERS = ("my colleague", "my neighbour", "my sister-in-law", "an old friend of mine", "my flatmate")
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

Turn = dict[str, Any]


def longmemeval_records(
    *, histories: int = 60, seed: int = 0, sessions: int = 50, tokens: int = 115_000
) -> Iterator[dict[str, Any]]:
    """Yields histories with one question each, in the official format. The i-th depends only on seed, i and the sizes.

    A history has `tokens` o200k_base tokens to within a few percent; a session has at least one exchange.
    """
    for name, number in (("histories", histories), ("sessions", sessions), ("tokens", tokens)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1, not {number}")
    for index in range(histories):
        yield _record(index, Random(f"longmemeval {seed} {index} {sessions} {tokens}"), sessions, tokens)


def _record(index: int, rng: Random, sessions: int, tokens: int) -> dict[str, Any]:
    first = datetime(2023, rng.randint(1, 9), rng.randint(1, 28), rng.randint(0, 23), rng.randint(0, 59))
    mean_gap = min(timedelta(days=2.2), timedelta(days=3650) / sessions)
    times = session_times(rng, sessions, first, mean_gap, daytime_only=False)
    asked_at = times[-1] + timedelta(minutes=rng.randint(60, 3000))
    task = make_task(index, rng, times, asked_at)
    fillings = Fillings(rng)

    question_id = f"{index:05x}{rng.getrandbits(16):04x}"
    ids: list[str] = []
    answer_ids: list[str] = []
    haystack: list[list[Turn]] = []
    written = 0
    for session_index, time in enumerate(times):
        remarks = task.remarks.get(session_index) or _unrelated_remarks(rng, task, fillings, time)
        evidence = any(remark.evidence for remark in remarks)
        session_id = f"{rng.getrandbits(32):08x}"
        if evidence:
            session_id = f"answer_{question_id}_{len(answer_ids) + 1}"
            answer_ids.append(session_id)
        share = tokens * _CHARACTERS_PER_TOKEN * (session_index + 1) / sessions - written
        length = share * rng.uniform(0.6, 1.4) if session_index + 1 < sessions else share
        turns = _session(rng, remarks, length, with_labels=evidence)
        written += sum(len(turn["content"]) for turn in turns)
        ids.append(session_id)
        haystack.append(turns)
    return {
        "question_id": question_id + ("_abs" if task.unanswerable else ""),
        "question_type": task.type,
        "question": task.question,
        "answer": task.answer,
        "question_date": official_date(asked_at),
        "haystack_dates": [official_date(time) for time in times],
        "haystack_session_ids": ids,
        "haystack_sessions": haystack,
        "answer_session_ids": answer_ids,
    }


def official_date(time: datetime) -> str:
    return f"{time:%Y/%m/%d} ({_WEEKDAYS[time.weekday()]}) {time:%H:%M}"


def _unrelated_remarks(rng: Random, task: Task, fillings: Fillings, time: datetime) -> list[Remark]:
    """A remark that the question does not need: about the user, of another kind, or about other people, of any kind."""
    chance = rng.random()
    if chance < _OWN_LIFE_SHARE:
        kind = rng.choice([kind for kind in event_kinds() if kind.name not in task.used])
        event = Event(kind, 0, fillings.draw(kind.name, kind.slots))
        aside = rng.choice(kind.asides)
        return [make_remark(event, aside, past_date(rng, time.date(), within=20), rng, evidence=False)]
    if chance < _OWN_LIFE_SHARE + _HEARSAY_SHARE:
        related_kinds = [kind for kind in event_kinds() if kind.name in task.used]
        kind = rng.choice(related_kinds if related_kinds and rng.random() < 0.3 else event_kinds())
        values = choose_wordings(fillings.draw(kind.name, kind.slots), rng)
        other = rng.choice(_OTHERS)
        person = Person(other, other, f"{other}'s", "they", "them", "their", "themselves")
        noun = fill_slots(kind.noun, values, person.words(), person)
        topic = next(topic["name"] for topic in _bank()["topic"] if kind.name in topic.get("kinds", ()))
        return [Remark(topic, rng.choice(_bank()["hearsay"]).replace("{noun}", noun), False)]
    return []


@cache
def _bank() -> dict[str, Any]:
    return read_toml("assistant.toml")


@cache
def _topics() -> dict[str, dict[str, Any]]:
    return {topic["name"]: topic for topic in _bank()["topic"]}


def _session(rng: Random, remarks: Sequence[Remark], length: float, *, with_labels: bool) -> list[Turn]:
    """A chat of about `length` characters on one topic, with the remarks spread over its first exchanges."""
    topic = _topics()[remarks[0].topic] if remarks else rng.choice(_bank()["topic"])
    turns: list[Turn] = []
    characters_left, remarks_left, number = length, list(remarks), 0
    aspects = rng.sample(topic["aspects"], len(topic["aspects"]))
    while not turns or remarks_left or characters_left > 500:
        remark = None
        if remarks_left and (characters_left < 3000 or rng.random() < 0.5):
            remark = remarks_left.pop(0)
        aspect = aspects[number % len(aspects)]
        user, reply = _exchange(rng, topic, aspect, remark, characters_left, opening=number == 0)
        fact_in_reply = bool(remark and remark.reply)
        for role, content in (("user", user), ("assistant", reply)):
            turn: Turn = {"role": role, "content": content}
            if with_labels:
                turn["has_answer"] = bool(remark and remark.evidence and (role == "assistant") == fact_in_reply)
            turns.append(turn)
        characters_left -= len(user) + len(reply)
        number += 1
    return turns


def _exchange(
    rng: Random, topic: Mapping[str, Any], aspect: str, remark: Remark | None, characters_left: float, *, opening: bool
) -> tuple[str, str]:
    bank = _bank()
    if remark and remark.reply:
        return remark.text, remark.reply
    user = rng.choice(bank["opener" if opening else "followup"])
    user = user.replace("{topic}", topic["name"]).replace("{aspect}", aspect)
    answer = _advice(rng, topic, aspect, characters_left - len(user))
    if remark is None:
        return user, answer
    words = remark.text
    if not words.endswith("."):
        words = rng.choice(bank["aside"]).replace("{fact}", words)
    return f"{user} {sentence_case(words)}", f"{rng.choice(bank['react'])} {answer}"


def _advice(rng: Random, topic: Mapping[str, Any], aspect: str, characters_left: float) -> str:
    """A long answer in the style of an assistant: an introduction, usually a list, and a closing sentence."""
    bank = _bank()
    count = max(2, min(rng.randint(6, 11), int((characters_left - 250) / 190)))
    heads = [aspect, *(other for other in topic["aspects"] if other != aspect)]
    items = []
    for index, why in enumerate(rng.sample(bank["why"], count)):
        example, other = rng.sample(topic["examples"], 2)
        advice = pick_wording(rng.choice(bank["advice"]), rng).replace("{aspect}", heads[index % len(heads)])
        items.append(f"{sentence_case(advice.replace('{example}', example).replace('{other}', other))} {why}")
    style = rng.random()
    if style < 0.5:
        body = "\n".join(f"{i + 1}. **{_capital(heads[i % len(heads)])}**: {item}" for i, item in enumerate(items))
    elif style < 0.75:
        body = "\n".join(f"* {item}" for item in items)
    else:
        body = "\n\n".join(" ".join(items[i : i + 3]) for i in range(0, len(items), 3))
    intro = sentence_case(rng.choice(bank["intro"]).replace("{topic}", topic["name"]))
    return f"{intro}\n\n{body}\n\n{rng.choice(bank['outro'])}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
