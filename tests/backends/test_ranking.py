"""The parts of engram's hybrid ranker, worked out by hand."""

from __future__ import annotations

import asyncio
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_eval.backends.backend import Services
from engram_eval.backends.engram.extractor import extract
from engram_eval.backends.engram.ranking import PARTS, HybridRanker, Weights
from engram_eval.backends.engram.store import Store
from engram_eval.backends.engram.vector_search import VectorSearches
from engram_eval.backends.lexical import LexicalIndex
from engram_eval.backends.scores import Scores
from engram_eval.registry import open_backend
from engram_eval.types import Session, Turn

_SESSIONS = [
    [("Ann", "Guess what I did?"), ("Ann", "I adopted a corgi yesterday."), ("Bob", "Lovely. Is it a puppy?")],
    [("Bob", "The weather is fine."), ("Ann", "My corgi likes the beach.")],
]


def _ranker(services: Services, weights: Weights | None = None) -> HybridRanker:
    embedder = services.embedder
    store = Store(services.folder / "engram.sqlite", embedder=embedder.name, dimensions=embedder.dimensions)
    for s, lines in enumerate(_SESSIONS):
        turns = tuple(Turn(f"D{s}:{i}", speaker, text) for i, (speaker, text) in enumerate(lines))
        session = Session(f"D{s}", datetime(2023, 5, 8 + s), turns)
        if store.has(session):
            continue
        records = extract(session)
        vectors = asyncio.run(embedder.embed([record.line for record in records]))
        store.add(session, list(zip(records, vectors, strict=True)))
    stored = store.load()
    store.close()
    return HybridRanker(stored, embedder, weights or Weights(), VectorSearches("exact", services.folder, 0))


def _parts(services: Services, query: str) -> dict[str, Scores]:
    return asyncio.run(_ranker(services).parts(query))


def test_every_part_has_a_weight_and_a_value_for_each_turn(services: Services) -> None:
    parts = _parts(services, "When did Ann adopt a corgi?")
    assert tuple(parts) == PARTS
    assert all(values.shape == (5,) for values in parts.values())


def test_parts_that_depend_on_the_turn_alone(services: Services) -> None:
    parts = _parts(services, "When did Ann adopt a corgi?")
    assert parts["speaker"].tolist() == [1, 1, 0, 0, 1]
    assert parts["question"].tolist() == [-1, 0, -1, 0, 0]
    assert parts["dated"].tolist() == [0, 1, 0, 0, 0]
    assert parts["episodic"][1] == 1
    assert parts["episodic"][3] == 0


@pytest.mark.parametrize("query", ["Which dog did Ann adopt?", "What corgi?"])
def test_dates_count_only_if_the_question_asks_for_a_time(services: Services, query: str) -> None:
    assert not _parts(services, query)["dated"].any()


def test_neighbours_are_turns_of_the_same_session(services: Services) -> None:
    parts = _parts(services, "Which corgi did Ann adopt?")
    match = parts["lexical"] + parts["dense"]
    a, b, c, d, e = match.tolist()
    assert parts["turn_before"].tolist() == [0, a, b, 0, d]
    assert parts["turn_after"].tolist() == [b, c, 0, e, 0]
    assert parts["two_before"].tolist() == [0, 0, a, 0, 0]
    assert parts["two_after"].tolist() == [c, 0, 0, 0, 0]
    assert parts["session"].tolist() == [max(a, b, c)] * 3 + [max(d, e)] * 2


def test_the_score_is_the_weighted_sum(services: Services) -> None:
    query = "When did Ann adopt a corgi?"
    weights = Weights(speaker=3, session=0)
    by_turn = sum((getattr(weights, part) * values for part, values in _parts(services, query).items()), np.zeros(5))
    scores = asyncio.run(_ranker(services, weights).scores(query))  # one per record; a turn has one or more
    assert sorted(set(scores)) == pytest.approx(sorted(set(by_turn)))


def test_each_weight_is_a_setting_of_the_backend() -> None:
    backend = open_backend("engram", {"speaker": "0"})
    assert (backend.speaker, backend.dense) == (0, Weights().dense)


@given(
    st.lists(st.lists(st.sampled_from("abcdef"), max_size=6), min_size=1, max_size=8),
    st.lists(st.sampled_from("abcdefg"), max_size=5),
)
def test_coverage_agrees_with_a_plain_loop(documents: list[list[str]], query: list[str]) -> None:
    n = len(documents)
    counts = {w: sum(w in document for document in documents) for w in query}
    idf = {w: np.log1p((n - d + 0.5) / (d + 0.5)) for w, d in counts.items()}
    total = sum(idf.values())
    expected = [sum(v for w, v in idf.items() if w in document) / total if total else 0 for document in documents]
    assert LexicalIndex(documents).coverage(query) == pytest.approx(expected, abs=1e-5)
