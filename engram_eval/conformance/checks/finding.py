"""Whether what was ingested is found, and named by the right turn ids."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from engram_eval.conformance.check import Check
from engram_eval.conformance.dialogues import COTTAGE, first_dialogue, long_dialogue
from engram_eval.conformance.failed import Failed, NotApplicable
from engram_eval.conformance.trial import Trial
from engram_eval.metrics.evidence import contains_turn
from engram_eval.metrics.named_turns import WORDS_PER_TURN, NamedTurns
from engram_eval.types import Context

WAIT_S = 3.0


def _queries() -> tuple[str, ...]:
    return first_dialogue().wide_question, first_dialogue().needle.question, "What did they talk about at work?"


def require_memory(trial: Trial) -> None:
    """Raises NotApplicable for a control, which is not meant to find anything."""
    if trial.info.control:
        raise NotApplicable("the backend is a control, which need not find anything")


async def _needle(trial: Trial) -> None:
    require_memory(trial)
    dialogue = first_dialogue()
    async with trial.filled(dialogue) as memory:
        context = await memory.retrieve(dialogue.needle.question)
    if not dialogue.needle.found_in(context):
        raise Failed(
            f"asked {dialogue.needle.question!r}, the context does not have the turn {dialogue.needle.text!r}; rank the "
            "turns by the question, the oldest too"
        )
    when = dialogue.needle_session.started_at
    assert when is not None
    if not _has_date(context.text, when):
        raise Failed(
            f"the right turn is in the context, but not when it was said, {when.day} {when:%B %Y}, and questions ask for "
            "dates; put session.started_at above the turns of a session or before each turn"
        )


def _has_date(text: str, when: datetime) -> bool:
    year, month, day = when.year, f"0?{when.month}", f"0?{when.day}"
    name = f"(?:{when:%B}|{when:%b})\\.?"
    separator = r"[-/. ]"
    forms = (
        f"{year}{separator}{month}{separator}{day}",
        f"{day}{separator}{month}{separator}(?:{year}|{year % 100})",
        f"{month}{separator}{day}{separator}(?:{year}|{year % 100})",
        f"{day}(?:st|nd|rd|th)?(?: of)?[ -]{name},?[ -]{year}",
        f"{name} {day}(?:st|nd|rd|th)?,? {year}",
        f"{year},? {name} {day}",
    )
    return any(re.search(rf"(?<!\d){form}(?!\d)", text, re.IGNORECASE) for form in forms)


async def _every_session(trial: Trial) -> None:
    require_memory(trial)
    if trial.info.paraphrases:
        raise NotApplicable("the backend paraphrases, and need not keep the words of a turn")
    dialogue = first_dialogue()
    async with trial.filled(dialogue) as memory:
        for session in dialogue.conversation.sessions:
            for what, place in (("first", 0), ("middle", len(session.turns) // 2), ("last", -1)):
                turn = session.turns[place]
                context = await memory.retrieve(turn.text, remark=f"for the text of turn {turn.id}")
                if not contains_turn(turn, context.text):
                    raise Failed(
                        f"asked for its own words, {turn.text[:80]!r}, turn {turn.id}, the {what} of its session, is not in "
                        "the context; make sure that every turn of every session is stored and can be found"
                    )


async def _sources(trial: Trial) -> None:
    dialogue = first_dialogue()
    named_turns = NamedTurns(dialogue.turns, paraphrased=trial.info.paraphrases)
    any_items = False
    async with trial.filled(dialogue) as memory:
        if strange := set(await memory.turn_ids()) - set(dialogue.turns):
            raise Failed(
                f"turn_ids() has {min(strange, key=str)!r}, which the conversation does not have; return the `id` of each turn "
                "that is stored"
            )
        for query in _queries():
            context = await memory.retrieve(query, evidence=(dialogue.needle_turn.id,))
            _require_known(context, dialogue.turns)
            any_items |= bool(context.items)
            if not trial.info.paraphrases:
                _require_unique(context)
                held = set(named_turns.held(context).turn_ids)
                if absent := [turn_id for turn_id in context.turn_ids if turn_id not in held]:
                    raise Failed(
                        f"an item names turn {absent[0]!r}, but the text does not have its words "
                        f"({dialogue.turns[absent[0]].text[:60]!r}), so it does not count as retrieved; name only turns that "
                        "are in the text, or set paraphrases = True on the backend if it rewrites turns"
                    )
    if not any_items:
        raise NotApplicable("the contexts name no turns; retrieval is then measured by the text alone")


def _require_known(context: Context, known: Collection[str]) -> None:
    for turn_id in (*context.turn_ids, *context.left_out):
        if turn_id not in known:
            raise Failed(
                f"the context names turn {turn_id!r}, which the conversation does not have; name turns by the `id` of "
                "those that were ingested"
            )


def _require_unique(context: Context) -> None:
    counts = Counter(turn_id for item in context.items for turn_id in item.turn_ids)
    if repeated := [turn_id for turn_id, count in counts.items() if count > 1]:
        raise Failed(
            f"{counts[repeated[0]]} items of one context name turn {repeated[0]!r}; name each turn once, at its best rank"
        )


async def _paraphrased(trial: Trial) -> None:
    if not trial.info.paraphrases:
        raise NotApplicable("the backend does not set paraphrases = True: its turns are looked for word by word")
    dialogue = first_dialogue()
    named_turns = NamedTurns(dialogue.turns, paraphrased=True)
    async with trial.filled(dialogue) as memory:
        context = await memory.retrieve(dialogue.needle.question)
    _require_known(context, dialogue.turns)
    named, words = len(context.turn_ids), len(context.text.split())
    if named > max(1, words // WORDS_PER_TURN):
        raise Failed(
            f"a context of {words} words names {named} turns; name only those from which its sentences come, at most one for "
            f"{WORDS_PER_TURN} words"
        )
    held = len(named_turns.held(context).turn_ids)
    if 2 * held < named:
        raise Failed(
            f"of {named} turns that the context names, only {held} share words with one of its lines; name for each sentence "
            "the turns that it was made from"
        )


async def _ready(trial: Trial) -> None:
    require_memory(trial)
    dialogue = long_dialogue(COTTAGE, 1, needle_session=5)
    async with trial.filled(dialogue) as memory:
        if dialogue.needle.found_in(await memory.retrieve(dialogue.needle.question)):
            return
        for _ in range(int(WAIT_S / 0.1)):
            await asyncio.sleep(0.1)
            if dialogue.needle.found_in(await memory.retrieve(dialogue.needle.question, remark="a little later")):
                raise Failed(
                    "a turn of the last session is found only some time after ready() has returned; wait in ready() until all "
                    "that was ingested can be retrieved"
                )
    raise Failed(
        f"a turn of the last session, {dialogue.needle.text!r}, is not found for {dialogue.needle.question!r}, "
        f"nor {WAIT_S:g} s later; make the last session searchable too"
    )


async def _deterministic(trial: Trial) -> None:
    dialogue = first_dialogue()
    queries = (*_queries(), _queries()[0])
    contexts = []
    for _ in range(2):
        async with trial.filled(dialogue) as memory:
            contexts.append([await memory.retrieve(query) for query in queries])
    first, second = contexts
    _require_same_elsewhere(trial, [[context.text, *context.turn_ids] for context in first])
    for query, one, other in zip(queries, first, second, strict=True):
        if (one.text, one.turn_ids) != (other.text, other.turn_ids):
            raise Failed(
                f"two memories of the same conversation return different contexts for {query[:60]!r}; seed what is random, and "
                "sort what comes from a set or from threads"
            )
    if (first[0].text, first[0].turn_ids) != (first[-1].text, first[-1].turn_ids):
        raise Failed(
            f"one memory returns another context when it is asked {queries[0][:60]!r} again; "
            "a question must not change the memory"
        )


def _require_same_elsewhere(trial: Trial, contexts: list[list[str]]) -> None:
    """Raises Failed if another process has noted other contexts; otherwise notes these."""
    if trial.shared is None:
        return
    noted = trial.shared / "contexts.json"
    if noted.exists() and json.loads(noted.read_text("utf-8")) != contexts:
        raise Failed(
            "a memory of the same conversation returns different contexts in another process; sort what comes from a set, "
            "whose order differs between processes, and do not rank by hash()"
        )
    noted.write_text(json.dumps(contexts), "utf-8")


async def _twice(trial: Trial) -> None:
    dialogue = first_dialogue()
    async with trial.open(dialogue.conversation.info) as memory:
        for session in dialogue.conversation.sessions:
            await memory.ingest(session)
        await memory.ingest(dialogue.needle_session)
        await memory.ready()
        context = await memory.retrieve(dialogue.needle.question, evidence=(dialogue.needle_turn.id,))
    if not trial.info.paraphrases:
        _require_unique(context)
    if context.text.count(dialogue.needle.word) > 1:
        raise Failed(
            "a session that was ingested twice is in the context twice, which costs tokens; skip a session whose id is known"
        )


async def _equal_texts(trial: Trial) -> None:
    require_memory(trial)
    if trial.info.paraphrases:
        raise NotApplicable("the backend paraphrases, and may make one sentence of two equal turns")
    dialogue = first_dialogue()
    async with trial.filled(dialogue) as memory:
        if not dialogue.needle.found_in(await memory.retrieve(dialogue.needle.question)):
            raise NotApplicable("the memory does not find a turn that is said once; see 'needle'")
    sessions = list(dialogue.conversation.sessions)
    turns = list(sessions[4].turns)
    turns[2] = repeated = replace(turns[2], text=dialogue.needle.text)
    sessions[4] = replace(sessions[4], turns=tuple(turns))
    async with trial.open(dialogue.conversation.info) as memory:
        for session in sessions:
            await memory.ingest(session)
        await memory.ready()
        context = await memory.retrieve(dialogue.needle.question)
    expected = {dialogue.needle_turn.id, repeated.id}
    found = expected & set(context.turn_ids) if context.items else set()
    enough = found == expected if context.items else context.text.count(dialogue.needle.word) > 1
    if not enough:
        raise Failed(
            f"two turns, {' and '.join(sorted(expected))}, say the same on different days, and the context does not have both; "
            "keep turns by their id and not by their text, and return more than the best one"
        )


CHECKS = (
    Check(
        "needle", "A turn that is said once is found among seventy others, with the date on which it was said.", _needle
    ),
    Check(
        "every-session",
        "Of every session, the first, a middle and the last turn are found by their words.",
        _every_session,
    ),
    Check("ready", "When ready() returns, all that was ingested can be retrieved.", _ready),
    Check("sources", "Items name turns of the conversation, each once, and the text has their words.", _sources),
    Check("paraphrased-sources", "A memory that paraphrases names no more turns than its text can hold.", _paraphrased),
    Check("equal-texts", "Two turns that say the same are two turns.", _equal_texts),
    Check("same-session-twice", "A session that is ingested twice is held once.", _twice),
    Check(
        "deterministic",
        "The same conversation and the same question give the same context, also in another process.",
        _deterministic,
        processes=2,
    ),
)
