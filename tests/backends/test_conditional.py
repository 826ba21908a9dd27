"""Conditional memory: addressing, buckets that fill and overflow, scoring, and files that a crash damages."""

from __future__ import annotations

import asyncio
import math
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engram_eval.backends.backend import Services
from engram_eval.backends.conditional import ConditionalBackend, ConditionalMemory
from engram_eval.backends.conditional.addressing import (
    HEADS,
    ORDERS,
    canonical,
    contained,
    multipliers,
    ngrams,
    primes_above,
    token_id,
    tokens,
)
from engram_eval.backends.conditional.scoring import Spread, gate, spread_scores
from engram_eval.backends.conditional.tables import BLOCK, HEAD, WIDTHS, DamagedTablesError, Tables
from engram_eval.backends.lexical import idf
from engram_eval.errors import UserError
from engram_eval.types import Context, Conversation, Session, Turn

# --- addressing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Café  au\tLAIT\n", "cafe au lait"),
        ("ﬁne Å ①", "fine a 1"),  # compatibility characters before accents
        ("plain", "plain"),
        (" \n", ""),
    ],
)
def test_canonical_text(text: str, expected: str) -> None:
    assert canonical(text) == expected


def test_tokens_are_stems_of_content_words() -> None:
    assert tokens("Was Mélanie painting the sunrises?") == ["melani", "paint", "sunris"]


def test_a_token_has_the_same_number_everywhere() -> None:
    assert token_id("corgi") == 2_162_670_425
    assert 0 <= token_id("") < 2**32


def test_multipliers_are_odd_and_their_product_with_a_token_fits_63_bits() -> None:
    odd = multipliers(7)
    assert (odd % 2 == 1).all()
    assert int(odd.max()) * (2**32 - 1) < 2**63
    assert (odd == multipliers(7)).all()
    assert (odd != multipliers(8)).any()


def test_ngrams_worked_out_by_hand() -> None:
    # words 2 4 6 with multipliers 3 5 7: 2*3=6, 4*3=12, 6*3=18; 12^(2*5)=6, 18^(4*5)=6; 18^(4*5)^(2*7)=8
    one, two, three = ngrams([[2, 4, 6]], np.array([3, 5, 7]))
    assert one[0].tolist() == [6, 12, 18]
    assert two[0].tolist() == [6]  # both pairs mix to 6: a collision counts once per turn
    assert three[0].tolist() == [8]


_texts = st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=8), max_size=6)


@given(_texts, st.integers(0, 2**32))
def test_ngrams_agree_with_a_plain_loop(texts: list[list[int]], seed: int) -> None:
    odd = [int(m) for m in multipliers(seed)]
    for order, (mixes, owners) in zip(ORDERS, ngrams(texts, multipliers(seed)), strict=True):
        expected = set()
        for owner, text in enumerate(texts):
            for end in range(order - 1, len(text)):
                mix = 0
                for back in range(order):
                    mix ^= text[end - back] * odd[back]
                expected.add((owner, mix))
        actual = list(zip(owners.tolist(), mixes.tolist(), strict=True))
        assert actual == sorted(expected)


@given(st.lists(st.integers(0, 50), max_size=8), st.sampled_from([2, 3]))
def test_contained_agrees_with_a_plain_loop(text: list[int], order: int) -> None:
    odd = multipliers(0)

    def mixed(words: list[int]) -> int:
        mix = 0
        for back, word in enumerate(reversed(words)):
            mix ^= word * int(odd[back])
        return mix

    listed = [mixes.tolist() for mixes, _ in ngrams([text], odd)]
    expected = set()
    for end in range(order, len(text) + 1):
        words = text[end - order : end]
        whole = listed[order - 1].index(mixed(words))
        expected |= {(whole, listed[order - 2].index(mixed(part))) for part in (words[:-1], words[1:])}
    actual = {(i, int(j)) for within in contained(text, odd, order) for i, j in enumerate(within)}
    assert actual == expected


def test_primes_are_distinct_and_at_least_the_size() -> None:
    rows = primes_above((10, 10, 30), heads=3)
    assert rows == [[11, 13, 17], [19, 23, 29], [31, 37, 41]]


# --- tables -------------------------------------------------------------------------------------------------------


def _tables(folder: Path, **settings: int) -> Tables:
    return Tables(folder / "tables", seed=0, **settings)


def _matching_turns(tables: Tables, text: list[int], agreement: int = HEADS) -> list[list[int]]:
    return [order.turns.tolist() for order in tables.find(text, agreement=agreement)]


def test_a_turn_is_found_by_its_words_pairs_and_triples(tmp_path: Path) -> None:
    tables = _tables(tmp_path)
    tables.add([[1, 2, 3], [3, 2, 1], [9]])
    tables.add([[1, 2]])
    one, two, three = tables.find([1, 2, 3], agreement=HEADS)
    assert set(one.turns.tolist()) == {0, 1, 3}
    assert set(two.turns.tolist()) == {0, 3}  # order matters
    assert three.turns.tolist() == [0]
    assert sorted(one.counts.tolist()) == [2, 3, 3]
    tables.close()


def test_a_full_bucket_drops_its_oldest_turns_and_still_counts_them(tmp_path: Path) -> None:
    tables = _tables(tmp_path)
    places = WIDTHS[0] - HEAD
    for _ in range(2):  # the ring overflows within each write, and again in the second
        tables.add([[5]] * (places + 10))
    (one, _, _) = tables.find([5], agreement=HEADS)
    stored = 2 * (places + 10)
    assert one.turns.tolist() == list(range(stored - places, stored))
    assert one.counts.tolist() == [stored]
    tables.close()


def test_a_pair_matches_its_words_even_if_their_buckets_have_dropped_the_turn(tmp_path: Path) -> None:
    tables = _tables(tmp_path)
    tables.add([[5, 6], *[[5]] * WIDTHS[0], *[[6]] * WIDTHS[0]])
    one, two, _ = tables.find([5, 6], agreement=HEADS)
    assert two.turns.tolist() == [0]
    assert sorted(one.ngrams[one.turns == 0].tolist()) == [0, 1]
    (alone, _, _) = tables.find([5], agreement=HEADS)
    assert 0 not in alone.turns
    tables.close()


@settings(max_examples=50)
@given(
    st.lists(st.lists(st.integers(0, 30), max_size=6), min_size=1, max_size=12),
    st.lists(st.integers(0, 30), max_size=5),
)
def test_nothing_stored_is_missed_while_buckets_have_room(
    tmp_path_factory: pytest.TempPathFactory, texts: list[list[int]], query: list[int]
) -> None:
    tables = _tables(tmp_path_factory.mktemp("tables"))
    tables.add(texts)
    for order, matches in zip(ORDERS, tables.find(query, agreement=HEADS), strict=True):
        query_ngrams = {tuple(query[i : i + order]) for i in range(len(query) - order + 1)}
        expected = {
            t
            for t, text in enumerate(texts)
            for i in range(len(text) - order + 1)
            if tuple(text[i : i + order]) in query_ngrams
        }
        assert expected <= set(matches.turns.tolist())
    tables.close()


def test_colliding_heads_are_outvoted(tmp_path: Path) -> None:
    tables = _tables(tmp_path)
    generator = np.random.default_rng(0)
    texts = generator.integers(0, 2**32, (3000, 4)).tolist()
    tables.add(texts)
    unknown_words = generator.integers(0, 2**32, 200).tolist()
    assert sum(len(_matching_turns(tables, [word], agreement=1)[0]) for word in unknown_words) > 200
    assert sum(len(_matching_turns(tables, [word], agreement=4)[0]) for word in unknown_words) == 0
    assert all(turn in _matching_turns(tables, texts[turn], agreement=4)[0] for turn in range(0, 3000, 100))
    tables.close()


def test_a_lookup_reads_the_same_number_of_buckets_whatever_is_stored(tmp_path: Path) -> None:
    read = []
    for stored in (10, 2000):
        tables = Tables(tmp_path / str(stored), seed=0)
        tables.add([[turn, turn + 1] for turn in range(stored)])
        before = tables.buckets_read
        tables.find([1, 2, 3], agreement=4)
        read.append(tables.buckets_read - before)
        tables.close()
    assert read == [(3 + 2 + 1) * HEADS] * 2


def test_tables_opened_again_find_the_same(tmp_path: Path) -> None:
    tables = _tables(tmp_path)
    tables.add([[1, 2, 3], [2, 3]])
    first = _matching_turns(tables, [2, 3])
    tables.close()
    again = _tables(tmp_path)
    assert (again.turns, again.words) == (2, 5)
    assert _matching_turns(again, [2, 3]) == first
    again.close()


def _written(folder: Path) -> Path:
    tables = _tables(folder)
    tables.add([[1, 2, 3]])
    tables.close()
    return folder / "tables"


@pytest.mark.parametrize("size", [0, 100, BLOCK, 3 * BLOCK])
def test_a_truncated_file_is_detected_when_it_is_opened(tmp_path: Path, size: int) -> None:
    path = _written(tmp_path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DamagedTablesError):
        _tables(tmp_path)


def test_another_seed_is_detected_when_the_file_is_opened(tmp_path: Path) -> None:
    path = _written(tmp_path)
    with pytest.raises(DamagedTablesError, match="seed"):
        Tables(path, seed=1)


def test_a_file_that_was_being_written_is_detected_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engram_eval.backends.conditional.tables._WORDS_A_WRITE", 1)
    path = _written(tmp_path)
    tables = _tables(tmp_path)
    tables.add([[4]])
    tables.abandon()  # as a killed process leaves it
    with pytest.raises(DamagedTablesError, match="closed"):
        Tables(path, seed=0)


def test_a_damaged_bucket_is_detected_when_it_is_read(tmp_path: Path) -> None:
    path = _written(tmp_path)
    data = bytearray(path.read_bytes())
    for at in range(data.index(b"\x01\0\0\0\x01\0\0\0", 2 * BLOCK), len(data), 4):  # written to once, with turn 0
        if data[at : at + 8] == b"\x01\0\0\0\x01\0\0\0":
            data[at + 4] = 7
    path.write_bytes(data)
    tables = _tables(tmp_path)
    with pytest.raises(DamagedTablesError, match="damaged"):
        tables.find([1], agreement=4)
    tables.abandon()


# --- scoring ------------------------------------------------------------------------------------------------------


def test_the_gate_equals_the_published_formula() -> None:
    x = np.array([4.0, -4.0, 0.0, 0.25])
    assert gate(x) == pytest.approx([1 / (1 + math.exp(-y)) for y in (2, -2, 0, 0.5)])


def test_idf_falls_with_the_number_of_documents_and_is_never_negative() -> None:
    weights = idf(np.array([1, 10, 100, 1000]), 100)
    assert (np.diff(weights) < 0).all()
    assert (weights >= 0).all()


def test_neighbours_in_the_same_session_receive_shares_of_a_score() -> None:
    numbers, sessions = np.array([1, 2, 3, 4, 5, 8, 11, 14]), np.array([0, 0, 0, 0, 1, 0, 0, 0])
    scores = np.array([0, 1.0, 0, 0, 0, 0, 0, 0])
    total = spread_scores(numbers, sessions, scores, Spread(kernel=0.6, after=0.5, before=0.25))
    # previous turn, itself, next turn, nothing at distance 2, another session, the taps 6 and 9, nothing at 12
    assert total == pytest.approx([0.25, 1, 0.5, 0, 0, 0.2, 0.15, 0])


# --- the memory ---------------------------------------------------------------------------------------------------

_QUERIES = ["What breed is Bob's puppy?", "When did Ann run the race?", "Where did Clara move?"]


async def _memory(conversation: Conversation, services: Services, sessions: int | None = None) -> ConditionalMemory:
    memory = await ConditionalBackend().open(conversation.info, services)
    for session in conversation.sessions[:sessions]:
        await memory.ingest(session)
    await memory.ready()
    return memory


async def _retrieve_all(memory: ConditionalMemory) -> list[Context]:
    contexts = [await memory.retrieve(query, asked_at=None, budget=60) for query in _QUERIES]
    await memory.close()
    return contexts


def _ingest_and_retrieve(conversation: Conversation, services: Services) -> list[Context]:
    async def run() -> list[Context]:
        return await _retrieve_all(await _memory(conversation, services))

    return asyncio.run(run())


def _undisturbed(conversation: Conversation, services: Services) -> list[Context]:
    """What a memory in a new folder retrieves."""
    folder = services.folder / "fresh"
    folder.mkdir()
    return _ingest_and_retrieve(conversation, replace(services, folder=folder))


def test_the_turn_that_answers_is_retrieved_with_its_date(conversation: Conversation, services: Services) -> None:
    breed, race, clara = _ingest_and_retrieve(conversation, services)
    assert "D1:3" in {turn_id for item in breed.items for turn_id in item.turn_ids}
    assert race.items[0].turn_ids == ("D2:1",)
    assert "[25 May 2023]" in race.text
    assert clara.items[0].turn_ids == ("D3:1",)


def test_a_memory_opened_again_retrieves_the_same(
    conversation: Conversation, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _ingest_and_retrieve(conversation, services) == _ingest_and_retrieve(conversation, services)
    assert not capsys.readouterr().err


def test_a_question_without_known_words_retrieves_nothing(conversation: Conversation, services: Services) -> None:
    async def run() -> list[Context]:
        memory = await _memory(conversation, services)
        contexts = [await memory.retrieve(query, asked_at=None, budget=60) for query in ("", "xylophone", "Ann")]
        await memory.close()
        return contexts

    assert [context.items for context in asyncio.run(run())] == [(), (), ()]


def test_an_empty_memory_retrieves_nothing(conversation: Conversation, services: Services) -> None:
    async def run() -> Context:
        return await (await _memory(conversation, services, sessions=0)).retrieve("Ann?", asked_at=None, budget=None)

    assert asyncio.run(run()) == Context("")


def test_a_killed_ingest_continues_where_it_stopped(
    conversation: Conversation, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    undisturbed = _undisturbed(conversation, services)

    async def killed() -> None:
        memory = await ConditionalBackend().open(conversation.info, services)
        for session in conversation.sessions[:2]:
            await memory.ingest(session)
        memory.abandon()

    asyncio.run(killed())
    assert _ingest_and_retrieve(conversation, services) == undisturbed
    assert not capsys.readouterr().err  # the tables were closed; they only lacked turns of the store


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _zeroed(data: bytes) -> bytes:
    """What a power cut leaves of pages that were not yet on disk; the header was."""
    return data[:BLOCK] + bytes(len(data) - BLOCK) if len(data) > BLOCK else bytes(len(data))


def _flipped(data: bytes) -> bytes:
    changed = bytearray(data)
    for at in range(BLOCK % len(data), len(data), 64):
        changed[at] ^= 1
    return bytes(changed)


@pytest.mark.parametrize("damage", [_cut, _zeroed, _flipped])
@pytest.mark.parametrize("name", ["turns.tables", "turns.facts", "turns.vectors"])
@pytest.mark.parametrize("while_open", [False, True])
def test_a_damaged_file_is_reported_and_rebuilt(
    damage: Callable[[bytes], bytes], name: str, while_open: bool, conversation: Conversation, services: Services,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    first = _ingest_and_retrieve(conversation, services)
    path = services.folder / name

    def damage_file() -> None:
        with path.open("r+b") as file:  # in place, because the memory may have it open
            damaged = damage(file.read())
            file.seek(0)
            file.write(damaged)
            file.truncate()

    async def run() -> list[Context]:
        memory = await _memory(conversation, services)
        damage_file()
        return await _retrieve_all(memory)

    if while_open:
        assert asyncio.run(run()) == first
    else:
        damage_file()
        assert _ingest_and_retrieve(conversation, services) == first
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"note: {path}: ") and line.endswith("; rebuilt from the turns")
    assert _ingest_and_retrieve(conversation, services) == first
    assert not capsys.readouterr().err


def test_missing_tables_are_rebuilt(conversation: Conversation, services: Services) -> None:
    first = _ingest_and_retrieve(conversation, services)
    (services.folder / "turns.tables").unlink()
    assert _ingest_and_retrieve(conversation, services) == first


def test_a_full_disk_is_an_error_that_leaves_the_memory_usable(conversation: Conversation, services: Services) -> None:
    undisturbed = _undisturbed(conversation, services)
    rows = [Session(f"S{i}", None, (Turn(f"S{i}:0", "Bob", " ".join(f"w{n}" for n in range(900))),)) for i in range(20)]

    async def run() -> list[Context]:
        memory = await _memory(conversation, services)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, ((services.folder / "turns.tables").stat().st_size, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"):  # when the tables grow
                for session in rows:
                    await memory.ingest(session)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert not list(services.folder.glob("*.new"))
        for session in rows:  # now there is room again
            await memory.ingest(session)
        await memory.ready()
        return await _retrieve_all(memory)

    retrieved = [[item.turn_ids for item in context.items] for context in asyncio.run(run())]
    assert [turns[0] for turns in retrieved] == [context.items[0].turn_ids for context in undisturbed]


def test_a_second_process_is_refused_and_damages_nothing(conversation: Conversation, services: Services) -> None:
    undisturbed = _undisturbed(conversation, services)

    async def run() -> list[Context]:
        first = await _memory(conversation, services, sessions=1)
        second = await _memory(conversation, services, sessions=1)
        for session in conversation.sessions:
            await first.ingest(session)
        with pytest.raises(UserError, match="another process is writing"):
            await second.ingest(Session("other", None, (Turn("O:1", "Ann", "Something else."),)))
        second.abandon()
        return await _retrieve_all(first)

    assert asyncio.run(run()) == undisturbed


def test_tables_that_grew_still_find_earlier_turns(services: Services, conversation: Conversation) -> None:
    filler = " ".join(f"word{i}" for i in range(900))
    first = Session("S", None, (Turn("S:0", "Ann", "I bought a theremin."),))
    rest = [Session(f"S{i}", None, (Turn(f"S{i}:0", "Bob", f"{filler} {i}"),)) for i in range(20)]

    async def run() -> Context:
        memory = await _memory(replace(conversation, sessions=(first, *rest)), services)
        context = await memory.retrieve("Who bought a theremin?", asked_at=None, budget=40)
        await memory.close()
        return context

    assert asyncio.run(run()).items[0].turn_ids == ("S:0",)
    Tables(services.folder / "empty", seed=0).close()
    assert (services.folder / "turns.tables").stat().st_size > (services.folder / "empty").stat().st_size


@pytest.mark.parametrize(
    "settings",
    [
        {"agreement": 0}, {"agreement": 9}, {"shortlist": 0}, {"pair": -1.0}, {"speaker": math.inf}, {"length": 1.5},
        {"seed": -1}, {"seed": 1 << 64},
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        ConditionalBackend(**settings)  # type: ignore[arg-type]


def test_damage_detected_while_writing_is_reported_and_repaired(
    conversation: Conversation, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    undisturbed = _undisturbed(conversation, services)

    async def first_session() -> None:
        await (await _memory(conversation, services, sessions=1)).close()

    asyncio.run(first_session())
    path = services.folder / "turns.tables"
    path.write_bytes(path.read_bytes()[:BLOCK] + b"\x05" * (path.stat().st_size - BLOCK))
    assert _ingest_and_retrieve(conversation, services) == undisturbed
    (line,) = capsys.readouterr().err.splitlines()
    assert "damaged" in line
