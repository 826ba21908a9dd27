"""Properties of every memory: it keeps the budget exactly, is isolated and reproducible, and sees no labels."""

from __future__ import annotations

import asyncio
import random
from dataclasses import fields, replace
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engram_eval.backends.backend import Memory, Services, backend_info
from engram_eval.registry import names, open_backend
from engram_eval.system.event_loop import awaited
from engram_eval.types import Context, Conversation, ConversationInfo, Question, Session, Turn

_MEMORIES = ["engram", "engram:dense", "split-budget", "degraded", "bm25", "dense", "full-history"]


async def _ingested(label: str, conversation: Conversation, services: Services) -> Memory:
    memory: Memory = await open_backend(label, {}).open(conversation.info, services)
    for session in conversation.sessions:
        await awaited(memory.ingest(session))
    if hasattr(memory, "ready"):
        await memory.ready()
    return memory


def _retrieve(label: str, conversation: Conversation, services: Services, query: str, budget: int | None) -> Context:
    async def retrieve() -> Context:
        memory = await _ingested(label, conversation, services)
        if label == "oracle":
            memory.show_evidence(("D1:4", "D2:1"))  # type: ignore[attr-defined]
        context: Context = await awaited(memory.retrieve(query, asked_at=None, budget=budget))
        await awaited(memory.close())
        return context

    return asyncio.run(retrieve())


@pytest.mark.parametrize("label", [label for label in _MEMORIES if label != "degraded"])
def test_the_turn_that_answers_is_retrieved_with_its_date(
    label: str, conversation: Conversation, services: Services
) -> None:
    context = _retrieve(label, conversation, services, "Which charity race did Ann run?", 200)
    assert "[25 May 2023]" in context.text
    assert "charity race" in context.text
    assert "D2:1" in {turn_id for item in context.items for turn_id in item.turn_ids}


@pytest.mark.parametrize("label", _MEMORIES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    budget=st.integers(1, 120), query=st.sampled_from(["Ann", "What breed is Bob's puppy?", "", "zzz", "Lisbon? 👍"])
)
def test_no_context_exceeds_the_budget(
    label: str, conversation: Conversation, services: Services, budget: int, query: str
) -> None:
    context = _retrieve(label, conversation, services, query, budget)
    assert services.tokens.count(context.text) <= budget
    for item in context.items:
        for turn_id in item.turn_ids:
            turn = next(t for s in conversation.sessions for t in s.turns if t.id == turn_id)
            assert turn.text.split()[0] in context.text


@pytest.mark.parametrize("label", ["engram", "bm25", "dense"])
def test_a_larger_budget_holds_more_items(label: str, conversation: Conversation, services: Services) -> None:
    small = _retrieve(label, conversation, services, "What did Bob adopt?", 40)
    large = _retrieve(label, conversation, services, "What did Bob adopt?", 400)
    assert small.truncated
    assert len(large.items) > len(small.items)
    assert not large.truncated


@pytest.mark.parametrize("label", _MEMORIES)
def test_memories_of_two_conversations_are_isolated(label: str, conversation: Conversation, services: Services) -> None:
    other = Conversation(
        ConversationInfo("conv-2", ("Eve",)),
        (Session("D1", None, (Turn("D1:1", "Eve", "My secret is a violet submarine."),)),),
    )

    async def both() -> tuple[Context, Context]:
        backend = open_backend(label, {})
        folders = [services.folder / name for name in ("one", "two")]
        memories = []
        for folder, talk in zip(folders, (conversation, other), strict=True):
            folder.mkdir()
            memories.append(await backend.open(talk.info, replace(services, folder=folder)))
        for session in conversation.sessions:  # both memories are open at the same time
            await memories[0].ingest(session)
        await memories[1].ingest(other.sessions[0])
        contexts = [await memory.retrieve("violet submarine puppy", asked_at=None, budget=500) for memory in memories]
        return contexts[0], contexts[1]

    first, second = asyncio.run(both())
    assert "submarine" not in first.text
    assert "puppy" not in second.text
    assert label == "degraded" or "submarine" in second.text


@pytest.mark.parametrize("label", _MEMORIES)
def test_a_second_memory_of_the_conversation_retrieves_the_same(
    label: str, conversation: Conversation, services: Services
) -> None:
    contexts = []
    for name in ("a", "b"):
        folder = services.folder / name
        folder.mkdir()
        contexts.append(_retrieve(label, conversation, replace(services, folder=folder), "Where is Clara?", 60))
    assert contexts[0] == contexts[1]


@pytest.mark.parametrize("label", _MEMORIES)
def test_a_session_ingested_twice_is_stored_once(label: str, conversation: Conversation, services: Services) -> None:
    async def retrieve() -> Context:
        memory = await _ingested(label, conversation, services)
        await awaited(memory.ingest(conversation.sessions[0]))
        context: Context = await awaited(memory.retrieve("puppy", asked_at=None, budget=1000))
        return context

    assert asyncio.run(retrieve()).text.count("I adopted a puppy") <= 1


def test_none_retrieves_nothing_and_oracle_the_evidence(conversation: Conversation, services: Services) -> None:
    assert _retrieve("none", conversation, services, "Ann?", None) == Context("")
    oracle = _retrieve("oracle", conversation, services, "Ann?", None)
    assert oracle.text == (
        "[8 May 2023]\nBob: A corgi. [image: a photo of a small brown dog on a sofa]\n"
        "[25 May 2023]\nAnn: I ran a charity race for the hospital last Saturday."
    )


def test_only_the_oracle_is_shown_evidence() -> None:
    assert [name for name in names("backends") if backend_info(open_backend(name, {})).sees_evidence] == ["oracle"]


def test_no_label_can_reach_a_memory() -> None:
    """A memory receives only these types, and none of their fields is a label."""
    visible = {field.name for kind in (ConversationInfo, Session, Turn) for field in fields(kind)}
    labels = {field.name for field in fields(Question)} - {"id", "text"}
    assert visible.isdisjoint(labels)


def test_only_full_history_has_the_window_and_only_oracle_no_limit() -> None:
    limits = {name: backend_info(open_backend(name, {})).context_limit for name in names("backends")}
    assert {name for name, limit in limits.items() if limit == "window"} == {"full-history"}
    assert {name for name, limit in limits.items() if limit == "none"} == {"oracle"}


def test_full_history_drops_the_oldest_whole_sessions_if_it_exceeds_the_window(
    conversation: Conversation, services: Services
) -> None:
    whole = _retrieve("full-history", conversation, services, "", None)
    assert not whole.truncated
    cut = _retrieve("full-history", conversation, services, "", services.tokens.count(whole.text) - 1)
    assert cut.truncated
    assert "puppy" not in cut.text
    assert "charity race" in cut.text
    assert "Lisbon" in cut.text


@pytest.mark.parametrize("label", ["engram", "bm25", "dense", "full-history"])
def test_a_conversation_of_one_turn_without_words(label: str, services: Services) -> None:
    talk = Conversation(
        ConversationInfo("c/../x", ("A",)), (Session("S1", datetime(2024, 2, 29), (Turn("t", "A", "👍"),)),)
    )
    assert _retrieve(label, talk, services, "who?", 50).text.count("👍") <= 1


def test_degraded_loses_evidence_that_engram_keeps(services: Services) -> None:
    """Over 40 facts with one question each, engram retrieves nearly all, and degraded less than half."""
    rng = random.Random(3)
    things = [
        f"{a} {b}"
        for a in ("red", "tin", "old", "odd", "big")
        for b in ("kite", "boat", "lamp", "drum", "coin", "ring", "vase", "mask")
    ]
    rng.shuffle(things)
    turns = tuple(Turn(f"t{i}", "Ann", f"Today I found a {thing} in the attic.") for i, thing in enumerate(things))
    talk = Conversation(ConversationInfo("c", ("Ann",)), (Session("S1", datetime(2024, 1, 1), turns),))

    def count_found(label: str) -> int:
        async def run() -> int:
            folder = services.folder / label
            folder.mkdir()
            memory = await _ingested(label, talk, replace(services, folder=folder))
            hits = 0
            for thing in things:
                context = await awaited(memory.retrieve(f"Did Ann find a {thing}?", asked_at=None, budget=60))
                hits += f"a {thing} in" in context.text
            return hits

        return asyncio.run(run())

    assert count_found("engram") >= 38
    assert count_found("degraded") <= 20
