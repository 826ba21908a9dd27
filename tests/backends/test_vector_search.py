"""Vector search: the approximate index against brute force, its file, and when it is used."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engram_eval.backends.backend import Services
from engram_eval.backends.engram import memory, vector_search
from engram_eval.backends.engram.vector_search import ApproximateSearch, ExactSearch, SearchMode, VectorSearches
from engram_eval.backends.scores import best_first, ranking
from engram_eval.embedders.embedder import Vectors
from engram_eval.errors import UserError
from engram_eval.registry import open_backend
from engram_eval.types import Context, ConversationInfo, Session, Turn

needs_faiss = pytest.mark.skipif(
    not vector_search.faiss_installed(), reason="faiss-cpu (the extra [index]) is not installed"
)


def _vectors(seed: int, count: int, dimensions: int) -> Vectors:
    drawn = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32) + 0.5
    vectors: Vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return vectors


@needs_faiss
@settings(max_examples=25)
@given(st.integers(0, 1000), st.integers(200, 900), st.sampled_from([7, 16, 48]))
def test_the_nearest_have_their_exact_similarity_and_the_rest_the_lowest_of_these(
    seed: int, count: int, dimensions: int
) -> None:
    vectors, query = _vectors(seed, count, dimensions), _vectors(seed + 1, 1, dimensions)[0]
    with TemporaryDirectory() as folder:
        similarities = ApproximateSearch(vectors, Path(folder) / "index", 100).similarities(query)
    exact = vectors.astype(np.float64) @ query.astype(np.float64)
    nearest = similarities > similarities.min()
    assert nearest.sum() >= 90  # the lowest of the nearest equals the rest
    np.testing.assert_allclose(similarities[nearest], exact[nearest], atol=1e-5)
    best = np.argsort(-exact)[:10]
    assert np.isin(best, np.flatnonzero(nearest)).mean() >= 0.9


@needs_faiss
def test_the_forty_nearest_are_found_among_many(tmp_path: Path) -> None:
    vectors = _vectors(0, 20_000, 64)
    index = ApproximateSearch(vectors, tmp_path / "index", vector_search.NEAREST)
    shares = []
    for query in _vectors(1, 20, 64):
        exact = set(np.argsort(-(vectors @ query), kind="stable")[:40].tolist())
        shares.append(len(exact & set(np.argsort(-index.similarities(query), kind="stable")[:40].tolist())) / 40)
    assert np.mean(shares) >= 0.95


@needs_faiss
def test_the_deviation_is_that_of_all_exact_similarities(tmp_path: Path) -> None:
    vectors, query = _vectors(0, 9000, 32), _vectors(1, 1, 32)[0]
    index = ApproximateSearch(vectors, tmp_path / "index", 100)
    similarities = index.similarities(query)
    assert index.deviation(query, similarities) == pytest.approx((vectors @ query).std(), rel=0.05)
    assert similarities.std() < 0.5 * (vectors @ query).std()


@needs_faiss
def test_the_same_vectors_give_the_same_file_with_any_number_of_threads(tmp_path: Path) -> None:
    import faiss

    vectors, files = _vectors(0, 3000, 32), []
    before = faiss.omp_get_max_threads()
    for threads in (1, 2):
        faiss.omp_set_num_threads(threads)
        path = tmp_path / f"{threads}"
        ApproximateSearch(vectors, path, 100)
        assert faiss.omp_get_max_threads() == threads
        files.append(path.read_bytes())
    faiss.omp_set_num_threads(before)
    assert files[0] == files[1]


@needs_faiss
@pytest.mark.parametrize("place", ["empty", "cut in the vectors", "cut in the index", "flipped early", "flipped late"])
def test_a_damaged_file_is_reported_and_rebuilt(tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str) -> None:
    vectors, query = _vectors(0, 500, 16), _vectors(1, 1, 16)[0]
    path = tmp_path / "index"
    expected = ApproximateSearch(vectors, path, 50).similarities(query)
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
    np.testing.assert_array_equal(ApproximateSearch(vectors, path, 50).similarities(query), expected)
    assert re.match(rf"note: {re.escape(str(path))}: the (index|vectors) ", capsys.readouterr().err)
    assert path.read_bytes() == whole
    np.testing.assert_array_equal(ApproximateSearch(vectors, path, 50).similarities(query), expected)
    assert capsys.readouterr().err == ""


@needs_faiss
def test_an_index_that_cannot_be_saved_is_kept_in_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vectors, query = _vectors(0, 500, 16), _vectors(1, 1, 16)[0]
    expected = ApproximateSearch(vectors, tmp_path / "index", 50).similarities(query)
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    np.testing.assert_array_equal(ApproximateSearch(vectors, blocked, 50).similarities(query), expected)
    assert "the index cannot be saved" in capsys.readouterr().err


# --- exact or approximate ---------------------------------------------------------------------------------------------


@needs_faiss
def test_a_vector_of_zeros_is_similar_to_no_vector(tmp_path: Path) -> None:
    for vectors in (_vectors(0, 200, 16), np.zeros((200, 16), np.float32)):
        index = ApproximateSearch(vectors, tmp_path / "index", 20)
        assert index.similarities(np.zeros(16, np.float32)).tolist() == [0.0] * 200


def test_an_empty_memory_has_no_similarities(tmp_path: Path) -> None:
    search = VectorSearches("approximate", tmp_path, 40).partitioned(np.zeros((0, 16), np.float32), [])
    assert search.similarities(np.ones(16, np.float32)).shape == (0,)


def _choose(mode: SearchMode, folder: Path, vectors: Vectors) -> object:
    return VectorSearches(mode, folder, max_records=1).whole("turns", vectors)


@needs_faiss
def test_auto_uses_the_index_from_a_number_of_vectors_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_search, "APPROXIMATE_FROM", 100)
    monkeypatch.setattr(vector_search, "NEAREST", 20)
    assert isinstance(_choose("auto", tmp_path, _vectors(0, 99, 8)), ExactSearch)
    assert isinstance(_choose("auto", tmp_path, _vectors(0, 100, 8)), ApproximateSearch)
    assert isinstance(_choose("exact", tmp_path, _vectors(0, 100, 8)), ExactSearch)
    assert isinstance(_choose("approximate", tmp_path, _vectors(0, 99, 8)), ApproximateSearch)
    assert isinstance(
        _choose("approximate", tmp_path, _vectors(0, 20, 8)), ExactSearch
    )  # all would be compared exactly


def test_without_faiss_auto_is_exact_and_prints_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(vector_search, "APPROXIMATE_FROM", 100)
    monkeypatch.setattr(vector_search, "faiss_installed", lambda: False)
    vectors, query = _vectors(0, 100, 8), _vectors(1, 1, 8)[0]
    chosen = VectorSearches("auto", tmp_path, max_records=1).whole("turns", vectors)
    np.testing.assert_array_equal(chosen.similarities(query), vectors @ query)
    assert "pip install 'engram_eval[index]'" in capsys.readouterr().err
    _choose("auto", tmp_path, vectors[:99])
    assert capsys.readouterr().err == ""


def test_without_faiss_approximate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "faiss_installed", lambda: False)
    with pytest.raises(
        UserError, match=r"needs the package faiss-cpu; install it with: pip install 'engram_eval\[index\]'"
    ):
        open_backend("engram", {"index": "approximate"})


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=60), st.integers(1, 70))
def test_best_first_is_the_ranking(scores: list[float], first: int) -> None:
    assert list(best_first(np.array(scores), first=first)) == ranking(np.array(scores))


# --- in engram ----------------------------------------------------------------------------------------------------

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


async def _retrieve_all(services: Services, sessions: list[Session], index: str, ranker: str) -> list[Context]:
    backend = open_backend("engram", {"index": index, "ranker": ranker, "k": "5", "total": "6"})
    opened = await backend.open(ConversationInfo("c", ("Ann", "Bob")), services)
    for session in sessions:
        await opened.ingest(session)
    contexts = [await opened.retrieve(query, asked_at=None, budget=300) for query in _QUERIES]
    await opened.close()
    return contexts


def _overlap(contexts: list[Context], others: list[Context]) -> float:
    """The mean share of the turns of `others` that are in `contexts` too."""
    pairs = zip(contexts, others, strict=True)
    return float(np.mean([len(_turns(a) & _turns(b)) / len(_turns(b)) for a, b in pairs]))


def _turns(context: Context) -> set[str]:
    return {turn_id for item in context.items for turn_id in item.turn_ids}


@pytest.mark.parametrize("ranker", ["dense", "hybrid"])
def test_auto_is_exact_for_few_vectors(services: Services, ranker: str) -> None:
    sessions = _sessions(10)
    exact = asyncio.run(_retrieve_all(services, sessions, "exact", ranker))
    assert asyncio.run(_retrieve_all(services, sessions, "auto", ranker)) == exact
    assert not list(services.folder.glob("*.index"))


@needs_faiss
@pytest.mark.parametrize("ranker", ["dense", "hybrid"])
def test_a_memory_with_an_index_retrieves_nearly_the_same(
    services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ranker: str
) -> None:
    monkeypatch.setattr(vector_search, "NEAREST", 64)  # of 240 turns: more than share a word with a question
    sessions = _sessions(20)
    exact = asyncio.run(_retrieve_all(services, sessions, "exact", ranker))
    approximate = asyncio.run(_retrieve_all(services, sessions, "approximate", ranker))
    assert list(services.folder.glob("engram.*.index"))
    assert _overlap(approximate, exact) >= 0.9
    assert asyncio.run(_retrieve_all(services, [], "approximate", ranker)) == approximate  # opened again, from the file
    for file in services.folder.glob("*.index"):
        file.unlink()
    assert asyncio.run(_retrieve_all(services, [], "approximate", ranker)) == approximate
    assert capsys.readouterr().err == ""


@needs_faiss
@pytest.mark.parametrize("ranker", ["dense", "hybrid"])
def test_sessions_ingested_after_a_question_are_found_like_the_others(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ranker: str
) -> None:
    monkeypatch.setattr(vector_search, "NEAREST", 24)
    sessions = _sessions(20)
    asyncio.run(_retrieve_all(services, sessions[:15], "approximate", ranker))
    later = asyncio.run(_retrieve_all(services, sessions, "approximate", ranker))
    assert "the index belongs to other records; rebuilt from the store" in capsys.readouterr().err
    fresh = Services(services.embedder, services.tokens, tmp_path / "fresh")
    fresh.folder.mkdir()
    assert asyncio.run(_retrieve_all(fresh, sessions, "approximate", ranker)) == later
