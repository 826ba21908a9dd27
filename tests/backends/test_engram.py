"""ENGRAM: routing, typed records with anchors, one file that gives the same again, and the merge."""

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
from engram_eval.types import Context, Conversation, Session, Turn

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
def test_the_router(text: str, types: set[MemoryType]) -> None:
    assert route(text, dated=False) == types


def test_a_turn_that_names_a_time_is_episodic() -> None:
    assert E in route("Off to the museum", dated=True)


@given(st.text(max_size=200), st.booleans())
def test_every_turn_is_kept(text: str, dated: bool) -> None:
    assert route(text, dated=dated)


def test_records_carry_what_the_turn_says_and_when_it_happened() -> None:
    session = Session("S", datetime(2023, 5, 25), (Turn("S:1", "Ann", "I ran a race last Saturday. It was hot."),))
    record = next(r for r in extract(session) if r.type == E)
    assert record == MemoryRecord(
        E,
        ("S:1",),
        "I ran a race last Saturday.",
        "Ann: I ran a race last Saturday (= 20 May 2023). It was hot.",
        (date(2023, 5, 20), date(2023, 5, 20)),
    )


def test_without_a_date_in_the_words_the_session_is_the_anchor() -> None:
    session = Session("S", datetime(2023, 5, 25), (Turn("S:1", "Ann", "I love jazz."),))
    assert [r.anchor for r in extract(session)] == [(date(2023, 5, 25), date(2023, 5, 25))]


def test_an_undated_session_has_no_anchor() -> None:
    session = Session("S", None, (Turn("S:1", "Ann", "I ran a race last Saturday."),))
    assert {r.anchor for r in extract(session)} == {None}


async def _memory(conversation: Conversation, services: Services, sessions: int | None = None) -> EngramMemory:
    memory: EngramMemory = await open_backend("engram", {}).open(conversation.info, services)
    for session in conversation.sessions[:sessions]:
        await memory.ingest(session)
    return memory


_QUERIES = ["What breed is Bob's puppy?", "When did Ann run the race?", "Where does Clara live?"]


async def _recalls(memory: EngramMemory) -> list[Context]:
    contexts = [await memory.retrieve(query, asked_at=None, budget=80) for query in _QUERIES]
    await memory.close()
    return contexts


def test_a_memory_opened_again_recalls_the_same(conversation: Conversation, services: Services) -> None:
    async def run() -> tuple[list[Context], list[Context]]:
        first = await _recalls(await _memory(conversation, services))
        return first, await _recalls(await _memory(conversation, services, sessions=0))

    first, again = asyncio.run(run())
    assert first == again
    assert first[0].items


def test_an_ingest_that_was_cut_short_goes_on_where_it_stopped(conversation: Conversation, services: Services) -> None:
    async def run() -> tuple[list[Context], list[Context]]:
        await (await _memory(conversation, services, sessions=2)).close()
        resumed = await _recalls(await _memory(conversation, services))
        folder = services.folder / "fresh"
        folder.mkdir()
        return resumed, await _recalls(await _memory(conversation, replace(services, folder=folder)))

    resumed, straight = asyncio.run(run())
    assert resumed == straight


def test_the_file_has_a_table_for_each_type_and_one_row_a_record(
    conversation: Conversation, services: Services
) -> None:
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
def test_a_file_that_is_no_store_is_made_anew(conversation: Conversation, services: Services, content: bytes) -> None:
    asyncio.run(_memory(conversation, services))
    (file,) = services.folder.glob("*.sqlite")
    for name in services.folder.iterdir():
        name.unlink()
    Path(file).write_bytes(content)
    contexts = asyncio.run(_recall_fresh(conversation, services))
    assert contexts[0].items


async def _recall_fresh(conversation: Conversation, services: Services) -> list[Context]:
    return await _recalls(await _memory(conversation, services))


def test_contexts_are_grouped_by_type_with_dates(conversation: Conversation, services: Services) -> None:
    async def run() -> Context:
        return await (await _memory(conversation, services)).retrieve("What did Ann do?", asked_at=None, budget=None)

    text = asyncio.run(run()).text
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == ["# Events", "# Facts", "# Plans and habits"]
    assert "[25 May 2023]\nAnn: I ran a charity race for the hospital last Saturday (= 20 May 2023)." in text


def _records(*pairs: tuple[str, MemoryType]) -> list[MemoryRecord]:
    return [MemoryRecord(kind, (turn_id,), "", "", None) for turn_id, kind in pairs]


def test_merge_takes_the_best_k_of_each_type_once_a_turn() -> None:
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
def test_merge_equals_its_definition_by_sets(
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


def test_the_embedders_text_is_what_was_said(conversation: Conversation, services: Services) -> None:
    """Resolved dates are for the reader; in the embedding they would draw every dated turn together."""
    asyncio.run(_memory(conversation, services))
    (file,) = services.folder.glob("*.sqlite")
    with sqlite3.connect(file) as db:
        blob = db.execute("SELECT embedding FROM episodic WHERE turns = '[\"D2:1\"]'").fetchone()[0]
    db.close()
    said = "Ann: I ran a charity race for the hospital last Saturday."
    expected = asyncio.run(services.embedder.embed([said]))[0]
    np.testing.assert_allclose(np.frombuffer(blob, np.float32), expected, atol=1e-6)
