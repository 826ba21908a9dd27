"""Retrieval metrics, compared with ir-measures and with the rule in words."""

from __future__ import annotations

from dataclasses import replace

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_eval.metrics.answer_in_context import answer_in_context
from engram_eval.metrics.evidence import evidence_found
from engram_eval.metrics.ndcg import ndcg
from engram_eval.metrics.session_retrieval import session_scores
from engram_eval.types import Context, Item, Question, Turn

_TURNS = {
    "D1:1": Turn("D1:1", "Ann", "I adopted a brown puppy at the shelter in Lisbon"),
    "D1:2": Turn("D1:2", "Bob", "Wow!"),
}
_QUESTION = Question("q", "c", "Where?", "Lisbon", "single-hop", None, ("D1:1", "D1:2"), ("D1",), False)


@given(st.permutations([f"D1:{i}" for i in range(14)]), st.sets(st.integers(0, 16), min_size=1), st.integers(1, 12))
def test_ndcg_equals_ir_measures(ranked: list[str], relevant: set[int], cutoff: int) -> None:
    evidence = [f"D1:{i}" for i in sorted(relevant)]
    qrels = [ir_measures.Qrel("q", turn_id, 1) for turn_id in evidence]
    run = [ir_measures.ScoredDoc("q", turn_id, -rank) for rank, turn_id in enumerate(ranked)]
    reference = ir_measures.calc_aggregate([ir_measures.nDCG @ cutoff], qrels, run)[ir_measures.nDCG @ cutoff]
    assert ndcg(ranked, evidence, cutoff) == pytest.approx(reference, abs=1e-9)


def test_ndcg_without_evidence_is_unknown() -> None:
    assert ndcg(["D1:1"], []) is None


_SESSIONS = [f"S{i}" for i in range(14)]


@given(st.permutations(_SESSIONS), st.integers(0, 14), st.sets(st.sampled_from(_SESSIONS), min_size=1))
def test_session_scores_equal_the_official_formulas(ranked: list[str], held: int, evidence: set[str]) -> None:
    """The formulas again, on vectors: gains of the whole history, of which a context holds the first `held` sessions."""
    gains = np.isin(ranked, list(evidence)).astype(float)
    retrieved_gains = np.where(np.arange(14) < held, gains, 0.0)
    discounts = np.hstack([1.0, np.log2(np.arange(2, 15))])
    expected: dict[str, float] = {}
    for k in (5, 10):
        dcg, ideal = (float(np.sum(values[:k] / discounts[:k])) for values in (retrieved_gains, np.sort(gains)[::-1]))
        expected |= {
            f"session_recall@{k}": retrieved_gains[:k].sum() / gains.sum(),
            f"session_recall_any@{k}": retrieved_gains[:k].max(),
            f"session_recall_all@{k}": float(np.array_equal(retrieved_gains * (np.arange(14) < k), gains)),
            f"session_ndcg@{k}": dcg / ideal,
        }
    scores = session_scores(ranked[:held], evidence)
    assert set(scores) == {
        f"session_{name}@{k}" for k in (5, 10) for name in ("recall", "recall_any", "recall_all", "ndcg")
    }
    assert scores == pytest.approx(expected, abs=1e-9)


@given(st.permutations(_SESSIONS), st.integers(1, 14), st.sets(st.sampled_from([*_SESSIONS, "S99"]), min_size=1))
def test_the_share_of_sessions_equals_ir_measures(ranked: list[str], held: int, evidence: set[str]) -> None:
    qrels = [ir_measures.Qrel("q", session_id, 1) for session_id in evidence]
    run = [ir_measures.ScoredDoc("q", session_id, -rank) for rank, session_id in enumerate(ranked[:held])]
    reference = ir_measures.calc_aggregate([ir_measures.R @ 5, ir_measures.R @ 10], qrels, run)
    scores = session_scores(ranked[:held], evidence)
    assert scores["session_recall@5"] == pytest.approx(reference[ir_measures.R @ 5], abs=1e-9)
    assert scores["session_recall@10"] == pytest.approx(reference[ir_measures.R @ 10], abs=1e-9)


def test_the_second_rank_counts_as_much_as_the_first() -> None:
    assert session_scores(["S1", "S2"], ["S2"])["session_ndcg@5"] == 1.0
    assert session_scores(["S1", "S3", "S4", "S2"], ["S2"])["session_ndcg@5"] == 0.5


def test_session_scores_without_evidence_are_unknown() -> None:
    assert session_scores(["S1"], []) == {}


def _context(text: str, *turn_ids: str) -> Context:
    return Context(text, tuple(Item((turn_id,), 1.0) for turn_id in turn_ids))


def test_a_turn_counts_if_it_is_named_and_its_text_is_there() -> None:
    whole = _context("Ann: I adopted a brown puppy at the shelter in Lisbon\nBob: Wow!", "D1:1", "D1:2")
    assert evidence_found(_QUESTION, _TURNS, whole) == ["D1:1", "D1:2"]


def test_words_that_are_there_by_chance_do_not_count_if_turns_are_named() -> None:
    other = _context("Bob: Wow! I adopted a brown puppy at the shelter in Lisbon", "D9:9")
    assert evidence_found(_QUESTION, _TURNS, other) == []


def test_a_memory_that_names_no_turns_is_measured_by_its_text() -> None:
    text = Context("the shelter in Lisbon is where Ann adopted her brown puppy")
    assert "D1:1" in evidence_found(_QUESTION, _TURNS, text)


def test_nothing_is_found_without_evidence() -> None:
    assert evidence_found(replace(_QUESTION, evidence=()), _TURNS, _context("x", "D1:1")) == []


def test_answer_in_context() -> None:
    assert answer_in_context("Two dogs", "she has two dogs") is True
    assert answer_in_context("Two dogs", "she has two cats") is False
    assert answer_in_context("Yes", "anything") is None
