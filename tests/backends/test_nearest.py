"""Approximate search: against brute force, its file beside the store, and nothing of it below its size."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engram_eval.backends.backend import Services
from engram_eval.backends.engram import memory, nearest
from engram_eval.backends.engram.nearest import Approximate, Choice, Exact, Neighbours
from engram_eval.backends.lexical import best_first, ranking
from engram_eval.embedders.embedder import Vectors
from engram_eval.errors import UserError
from engram_eval.registry import open_backend
from engram_eval.types import Context, ConversationInfo, Session, Turn

needs_library = pytest.mark.skipif(not nearest.installed(), reason="faiss-cpu (the extra [index]) is not installed")


def _vectors(seed: int, count: int, dimensions: int) -> Vectors:
    drawn = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32) + 0.5
    out: Vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return out


@needs_library
@settings(max_examples=25)
@given(st.integers(0, 1000), st.integers(200, 900), st.sampled_from([7, 16, 48]))
def test_the_nearest_have_their_own_similarity_and_the_rest_the_lowest(seed: int, count: int, dimensions: int) -> None:
    vectors, query = _vectors(seed, count, dimensions), _vectors(seed + 1, 1, dimensions)[0]
    with TemporaryDirectory() as folder:
        given_ = Approximate(vectors, Path(folder) / "index", 100).similarities(query)
    true = vectors.astype(np.float64) @ query.astype(np.float64)
    found = given_ > given_.min()
    assert found.sum() >= 90  # the lowest found is the floor itself
    np.testing.assert_allclose(given_[found], true[found], atol=1e-5)
    best = np.argsort(-true)[:10]
    assert np.isin(best, np.flatnonzero(found)).mean() >= 0.9


@needs_library
def test_forty_nearest_are_found_among_many(tmp_path: Path) -> None:
    vectors = _vectors(0, 20_000, 64)
    index = Approximate(vectors, tmp_path / "index", nearest.NEAREST)
    shares = []
    for query in _vectors(1, 20, 64):
        true = set(np.argsort(-(vectors @ query), kind="stable")[:40].tolist())
        shares.append(len(true & set(np.argsort(-index.similarities(query), kind="stable")[:40].tolist())) / 40)
    assert np.mean(shares) >= 0.95


@needs_library
def test_the_deviation_is_that_of_all_similarities(tmp_path: Path) -> None:
    vectors, query = _vectors(0, 9000, 32), _vectors(1, 1, 32)[0]
    index = Approximate(vectors, tmp_path / "index", 100)
    near = index.similarities(query)
    assert index.deviation(query, near) == pytest.approx((vectors @ query).std(), rel=0.05)
    assert near.std() < 0.5 * (vectors @ query).std()


@needs_library
def test_the_same_vectors_give_the_same_file_whoever_makes_it(tmp_path: Path) -> None:
    import faiss

    vectors, files = _vectors(0, 3000, 32), []
    before = faiss.omp_get_max_threads()
    for threads in (1, 2):
        faiss.omp_set_num_threads(threads)
        path = tmp_path / f"{threads}"
        Approximate(vectors, path, 100)
        assert faiss.omp_get_max_threads() == threads
        files.append(path.read_bytes())
    faiss.omp_set_num_threads(before)
    assert files[0] == files[1]


@needs_library
@pytest.mark.parametrize("place", ["empty", "cut in the vectors", "cut in the index", "flipped early", "flipped late"])
def test_a_damaged_file_is_said_and_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str) -> None:
    vectors, query = _vectors(0, 500, 16), _vectors(1, 1, 16)[0]
    path = tmp_path / "index"
    expected = Approximate(vectors, path, 50).similarities(query)
    whole = path.read_bytes()
    assert capsys.readouterr().err == ""
    damaged = {
        "empty": b"",
        "cut in the vectors": whole[:1000],
        "cut in the index": whole[:-10],
        "flipped early": whole[:500] + bytes([whole[500] ^ 1]) + whole[501:],
        "flipped late": whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:],
    }[place]
    path.write_bytes(damaged)
    np.testing.assert_array_equal(Approximate(vectors, path, 50).similarities(query), expected)
    assert f"note: {path}: it is" in capsys.readouterr().err
    assert path.read_bytes() == whole
    np.testing.assert_array_equal(Approximate(vectors, path, 50).similarities(query), expected)
    assert capsys.readouterr().err == ""


@needs_library
def test_where_no_file_can_be_kept_the_index_is_held_in_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors, query = _vectors(0, 500, 16), _vectors(1, 1, 16)[0]
    expected = Approximate(vectors, tmp_path / "index", 50).similarities(query)
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    np.testing.assert_array_equal(Approximate(vectors, blocked, 50).similarities(query), expected)
    assert "cannot be kept" in capsys.readouterr().err


# --- the choice -------------------------------------------------------------------------------------------------------


@needs_library
def test_a_vector_of_zeros_is_near_to_none(tmp_path: Path) -> None:
    for vectors in (_vectors(0, 200, 16), np.zeros((200, 16), np.float32)):
        index = Approximate(vectors, tmp_path / "index", 20)
        assert index.similarities(np.zeros(16, np.float32)).tolist() == [0.0] * 200


def test_nothing_stored_has_no_similarities(tmp_path: Path) -> None:
    nearest = Neighbours("approximate", tmp_path, 40).of_each(np.zeros((0, 16), np.float32), [])
    assert nearest.similarities(np.ones(16, np.float32)).shape == (0,)


def _choose(choice: Choice, folder: Path, vectors: Vectors) -> object:
    return Neighbours(choice, folder, wanted=1).of("turns", vectors)


@needs_library
def test_auto_takes_the_index_from_its_size_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "APPROXIMATE_FROM", 100)
    monkeypatch.setattr(nearest, "NEAREST", 20)
    assert isinstance(_choose("auto", tmp_path, _vectors(0, 99, 8)), Exact)
    assert isinstance(_choose("auto", tmp_path, _vectors(0, 100, 8)), Approximate)
    assert isinstance(_choose("exact", tmp_path, _vectors(0, 100, 8)), Exact)
    assert isinstance(_choose("approximate", tmp_path, _vectors(0, 99, 8)), Approximate)
    assert isinstance(_choose("approximate", tmp_path, _vectors(0, 20, 8)), Exact)  # all would be scored again


def test_without_the_library_auto_is_exact_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nearest, "APPROXIMATE_FROM", 100)
    monkeypatch.setattr(nearest, "installed", lambda: False)
    vectors, query = _vectors(0, 100, 8), _vectors(1, 1, 8)[0]
    chosen = Neighbours("auto", tmp_path, wanted=1).of("turns", vectors)
    np.testing.assert_array_equal(chosen.similarities(query), vectors @ query)
    assert "pip install 'engram_eval[index]'" in capsys.readouterr().err
    _choose("auto", tmp_path, vectors[:99])
    assert capsys.readouterr().err == ""


def test_without_the_library_approximate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "installed", lambda: False)
    with pytest.raises(
        UserError, match=r"needs the package faiss-cpu; install it with: pip install 'engram_eval\[index\]'"
    ):
        open_backend("engram", {"index": "approximate"})


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=60), st.integers(1, 70))
def test_best_first_is_the_ranking(scores: list[float], first: int) -> None:
    assert list(best_first(np.array(scores), first=first)) == ranking(np.array(scores))


# --- in the memory ----------------------------------------------------------------------------------------------------

_THINGS = "kite violin harbour pottery marathon beehive telescope orchard canoe sourdough chess lighthouse".split()
_PLACES = "Lisbon Oslo Kyoto Quito Dublin Tunis Prague Lima".split()
_QUERIES = [f"When did Ann see the {thing} in {place}?" for thing in _THINGS[:4] for place in _PLACES[:3]]


def _sessions(count: int) -> list[Session]:
    sessions = []
    for s in range(count):
        turns = [
            Turn(
                f"D{s}:{i}",
                ("Ann", "Bob")[i % 2],
                f"I saw the {_THINGS[(s * 5 + i) % 12]} in {_PLACES[(s + i) % 8]} {i}.",
            )
            for i in range(12)
        ]
        sessions.append(Session(f"D{s}", datetime(2023, 1, 1) + timedelta(days=s), tuple(turns)))
    return sessions


async def _recalls(services: Services, sessions: list[Session], index: str, ranker: str) -> list[Context]:
    backend = open_backend("engram", {"index": index, "ranker": ranker, "k": "5", "total": "6"})
    opened = await backend.open(ConversationInfo("c", ("Ann", "Bob")), services)
    for session in sessions:
        await opened.ingest(session)
    contexts = [await opened.retrieve(query, asked_at=None, budget=300) for query in _QUERIES]
    await opened.close()
    return contexts


def _shares(contexts: list[Context], others: list[Context]) -> float:
    pairs = zip(contexts, others, strict=True)
    return float(np.mean([len(_turns(a) & _turns(b)) / len(_turns(b)) for a, b in pairs]))


def _turns(context: Context) -> set[str]:
    return {turn_id for item in context.items for turn_id in item.turn_ids}


@pytest.mark.parametrize("ranker", ["dense", "hybrid"])
def test_below_the_size_auto_is_exact(services: Services, ranker: str) -> None:
    sessions = _sessions(10)
    exact = asyncio.run(_recalls(services, sessions, "exact", ranker))
    assert asyncio.run(_recalls(services, sessions, "auto", ranker)) == exact
    assert not list(services.folder.glob("*.index"))


@needs_library
@pytest.mark.parametrize("ranker", ["dense", "hybrid"])
def test_a_memory_with_an_index_recalls_nearly_the_same(
    services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ranker: str
) -> None:
    monkeypatch.setattr(nearest, "NEAREST", 64)  # of 240 turns: as many as share a word with a question, and some
    sessions = _sessions(20)
    exact = asyncio.run(_recalls(services, sessions, "exact", ranker))
    approximate = asyncio.run(_recalls(services, sessions, "approximate", ranker))
    assert list(services.folder.glob("engram.*.index"))
    assert _shares(approximate, exact) >= 0.9
    assert asyncio.run(_recalls(services, [], "approximate", ranker)) == approximate  # opened again, from the file
    for file in services.folder.glob("*.index"):
        file.unlink()
    assert asyncio.run(_recalls(services, [], "approximate", ranker)) == approximate
    assert capsys.readouterr().err == ""


@needs_library
@pytest.mark.parametrize("ranker", ["dense", "hybrid"])
def test_sessions_after_a_recall_are_found_as_if_they_had_been_there_before(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ranker: str
) -> None:
    monkeypatch.setattr(nearest, "NEAREST", 24)
    sessions = _sessions(20)
    asyncio.run(_recalls(services, sessions[:15], "approximate", ranker))
    later = asyncio.run(_recalls(services, sessions, "approximate", ranker))
    assert "it is of other records than the store's; made again from the store" in capsys.readouterr().err
    fresh = Services(services.embedder, services.tokens, tmp_path / "fresh")
    fresh.folder.mkdir()
    assert asyncio.run(_recalls(fresh, sessions, "approximate", ranker)) == later
