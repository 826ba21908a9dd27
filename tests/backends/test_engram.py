"""ENGRAM: the router, typed records with anchors, the store, and merging and rendering."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_eval.backends.backend import Services
from engram_eval.backends.engram.extractor import MemoryRecord, extract
from engram_eval.backends.engram.memory import EngramMemory
from engram_eval.backends.engram.packing import merge
from engram_eval.backends.engram.router import MemoryType, route
from engram_eval.registry import open_backend
from engram_eval.types import Context, Conversation, ConversationInfo, Session, Turn

E, S, P = MemoryType.EPISODIC, MemoryType.SEMANTIC, MemoryType.PROCEDURAL


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("We went to the beach and swam.", {E}),
        ("My sister adopted a cat.", {E}),
        ("I'm allergic to nuts.", {S}),
        ("Jazz is my favorite music.", {S}),
        ("[image: a photo of a dog]", {S}),
        ("First of all make sure to add salt.", {P}),
        ("1. Mix the flour\n2. Bake", {P}),
        ("I usually run every morning.", {P}),
        ("I love Lisbon and we visited it; I'm going to return.", {E, S, P}),
        ("Wow!", {S}),
        ("", {S}),
    ],
)
def test_the_router_gives_a_turn_its_types(text: str, types: set[MemoryType]) -> None:
    assert route(text, dated=False) == types


def test_a_turn_that_names_a_time_is_episodic() -> None:
    assert E in route("Off to the museum", dated=True)


@given(st.text(max_size=200), st.booleans())
def test_every_turn_has_a_type(text: str, dated: bool) -> None:
    assert route(text, dated=dated)


def test_a_record_has_the_turns_words_and_the_date_of_the_event() -> None:
    session = Session("S", datetime(2023, 5, 25), (Turn("S:1", "Ann", "I ran a race last Saturday. It was hot."),))
    record = next(r for r in extract(session) if r.type == E)
    assert record == MemoryRecord(
        E,
        ("S:1",),
        "I ran a race last Saturday.",
        "Ann: I ran a race last Saturday (= 20 May 2023). It was hot.",
        (date(2023, 5, 20), date(2023, 5, 20)),
    )


def test_without_a_date_in_the_turn_the_sessions_date_is_the_anchor() -> None:
    session = Session("S", datetime(2023, 5, 25), (Turn("S:1", "Ann", "I love jazz."),))
    assert [r.anchor for r in extract(session)] == [(date(2023, 5, 25), date(2023, 5, 25))]


def test_in_a_session_without_a_date_records_have_no_anchor() -> None:
    session = Session("S", None, (Turn("S:1", "Ann", "I ran a race last Saturday."),))
    assert {r.anchor for r in extract(session)} == {None}


async def _memory(conversation: Conversation, services: Services, sessions: int | None = None) -> EngramMemory:
    memory: EngramMemory = await open_backend("engram", {}).open(conversation.info, services)
    for session in conversation.sessions[:sessions]:
        await memory.ingest(session)
    return memory


_QUERIES = ["What breed is Bob's puppy?", "When did Ann run the race?", "Where does Clara live?"]


async def _retrieve_all(memory: EngramMemory) -> list[Context]:
    contexts = [await memory.retrieve(query, asked_at=None, budget=80) for query in _QUERIES]
    await memory.close()
    return contexts


def test_a_memory_opened_again_retrieves_the_same(conversation: Conversation, services: Services) -> None:
    async def run() -> tuple[list[Context], list[Context]]:
        before = await _retrieve_all(await _memory(conversation, services))
        return before, await _retrieve_all(await _memory(conversation, services, sessions=0))

    before, after = asyncio.run(run())
    assert before == after
    assert before[0].items


def test_an_interrupted_ingest_continues_where_it_stopped(conversation: Conversation, services: Services) -> None:
    async def run() -> tuple[list[Context], list[Context]]:
        await (await _memory(conversation, services, sessions=2)).close()
        resumed = await _retrieve_all(await _memory(conversation, services))
        folder = services.folder / "fresh"
        folder.mkdir()
        return resumed, await _retrieve_all(await _memory(conversation, replace(services, folder=folder)))

    resumed, uninterrupted = asyncio.run(run())
    assert resumed == uninterrupted


def test_the_file_has_one_table_per_type_and_one_row_per_record(conversation: Conversation, services: Services) -> None:
    asyncio.run(_memory(conversation, services))
    (file,) = services.folder.glob("*.sqlite")
    with sqlite3.connect(file) as db:
        counts = {kind: db.execute(f"SELECT COUNT(*) FROM {kind}").fetchone()[0] for kind in MemoryType}
        turns = db.execute("SELECT COUNT(*) FROM turns").fetchone()[0]
        blob = db.execute("SELECT embedding FROM episodic").fetchone()[0]
    db.close()
    assert turns == 9
    assert all(counts.values())
    assert counts == {
        kind: sum(r.type == kind for s in conversation.sessions for r in extract(s)) for kind in MemoryType
    }
    assert np.frombuffer(blob, np.float32).shape == (384,)


@pytest.mark.parametrize("content", [b"not a database at all" * 400, b""])
def test_a_file_that_is_not_a_store_is_replaced(conversation: Conversation, services: Services, content: bytes) -> None:
    asyncio.run(_memory(conversation, services))
    (file,) = services.folder.glob("*.sqlite")
    for name in services.folder.iterdir():
        name.unlink()
    Path(file).write_bytes(content)

    async def run() -> list[Context]:
        return await _retrieve_all(await _memory(conversation, services))

    assert asyncio.run(run())[0].items


def test_turns_are_in_time_order_with_each_date_once(conversation: Conversation, services: Services) -> None:
    """An answer stands below the turn that asks for it, whatever the types of the two."""

    async def run() -> Context:
        return await (await _memory(conversation, services)).retrieve("What did Ann do?", asked_at=None, budget=None)

    lines = asyncio.run(run()).text.splitlines()
    turns = [f"{turn.speaker}: " for session in conversation.sessions for turn in session.turns]
    assert [line[: line.index(":") + 2] for line in lines if not line.startswith("[")] == turns
    assert sum(line.startswith("[") for line in lines) == len(conversation.sessions)
    assert "Ann: I ran a charity race for the hospital last Saturday (= 20 May 2023)." in lines


@pytest.mark.parametrize("budget", [916, 4000, 12_000])
def test_a_larger_budget_is_filled_unless_k_and_total_are_fixed(services: Services, budget: int) -> None:
    turns = tuple(Turn(f"S:{i}", "Ann", f"I like the bakery in street {i}, it is lovely.") for i in range(1200))

    async def run(**settings: bool) -> Context:
        backend = open_backend("engram", {key: str(value) for key, value in settings.items()})
        folder = services.folder / "-".join(settings or ["default"])
        folder.mkdir()
        memory = await backend.open(ConversationInfo("c", ("Ann",)), replace(services, folder=folder))
        await memory.ingest(Session("S", datetime(2023, 5, 25), turns))
        context: Context = await memory.retrieve("Which bakery does Ann like?", asked_at=None, budget=budget)
        await memory.close()
        return context

    assert services.tokens.count(asyncio.run(run()).text) > 0.9 * budget
    assert len(asyncio.run(run(fill=False)).turn_ids) <= 60


def _records(*pairs: tuple[str, MemoryType]) -> list[MemoryRecord]:
    return [MemoryRecord(kind, (turn_id,), "", "", None) for turn_id, kind in pairs]


def test_merge_takes_the_best_k_of_each_type_and_each_turn_once() -> None:
    records = _records(("a", E), ("a", S), ("b", E), ("c", E), ("d", S))
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    assert merge(records, scores, k=2, total=10) == [0, 2, 4]  # a and b of E; a again and d of S
    assert merge(records, scores, k=1, total=10) == [0]
    assert merge(records, scores, k=9, total=2) == [0, 2]


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([E, S, P])), unique=True, max_size=18).flatmap(
        lambda pairs: st.tuples(st.just(pairs), st.lists(st.floats(-1, 1), min_size=len(pairs), max_size=len(pairs)))
    ),
    st.integers(1, 5),
    st.integers(1, 8),
)
def test_merge_agrees_with_a_definition_by_sets(
    drawn: tuple[list[tuple[str, MemoryType]], list[float]], k: int, total: int
) -> None:
    pairs, scores = drawn
    order = sorted(range(len(pairs)), key=lambda i: -scores[i])
    union = {i for kind in MemoryType for i in [j for j in order if pairs[j][1] == kind][:k]}
    best: dict[str, int] = {}
    for i in order:
        if i in union:
            best.setdefault(pairs[i][0], i)
    assert merge(_records(*pairs), np.array(scores), k=k, total=total) == list(best.values())[:total]


def test_embeddings_do_not_contain_the_resolved_dates(conversation: Conversation, services: Services) -> None:
    """Resolved dates are for the reader. In the embeddings they would make all dated turns similar."""
    asyncio.run(_memory(conversation, services))
    (file,) = services.folder.glob("*.sqlite")
    with sqlite3.connect(file) as db:
        blob = db.execute("SELECT embedding FROM episodic WHERE turns = '[\"D2:1\"]'").fetchone()[0]
    db.close()
    text = "Ann: I ran a charity race for the hospital last Saturday."
    expected = asyncio.run(services.embedder.embed([text]))[0]
    np.testing.assert_allclose(np.frombuffer(blob, np.float32), expected, atol=1e-6)
