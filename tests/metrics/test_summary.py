"""The summary: each number recomputed by hand from the same records."""

from __future__ import annotations

import math
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engram_eval.metrics.intervals import bootstrap_proportion
from engram_eval.metrics.summary import summarise
from engram_eval.results.record import Record
from tests.records import PRICED, backend, changed, failed, manifest, priced_run, record, run

_SESSION_SCORES = [f"session_{name}@{k}" for k in (5, 10) for name in ("recall", "recall_any", "recall_all", "ndcg")]


def test_accuracy_covers_the_headline_and_other_categories_are_separate() -> None:
    engram = summarise(run(), manifest()).to_json()["backends"]["engram"]
    assert engram["n"] == 3
    assert engram["accuracy"] == pytest.approx(2 / 3)
    assert engram["by_category"]["adversarial"]["accuracy"] == 1.0
    assert engram["by_category"]["multi-hop"]["accuracy"] == 1.0
    assert engram["by_category"]["single-hop"]["accuracy"] == 0.5


def test_an_error_is_counted_and_never_scored() -> None:
    bm25 = summarise(run(), manifest()).to_json()["backends"]["bm25"]
    assert (bm25["n"], bm25["answered"], bm25["errors"]) == (3, 2, 1)
    assert bm25["accuracy"] == 0.5
    assert bm25["by_category"]["single-hop"]["errors"] == 1


def test_an_error_outside_the_headline_is_counted_too() -> None:
    records = [record(), failed(question_id="q9", category="adversarial", unanswerable=True)]
    assert summarise(records, manifest()).to_json()["backends"]["engram"]["errors"] == 1


def test_retrieval_times_tokens_and_ingest() -> None:
    engram = summarise(run(), manifest()).to_json()["backends"]["engram"]
    assert engram["evidence_recall"] == pytest.approx(2 / 3)
    assert engram["ndcg@10"] == pytest.approx(2 / 3)
    assert engram["retrieval_s"]["p50"] == pytest.approx(0.002)
    assert engram["latency_s"]["p50"] == pytest.approx(0.012)
    assert engram["context_tokens"] == {"mean": 900, "p50": 900, "p95": 900}
    assert engram["ingest_s"]["total"] == 4.0  # two conversations, each once


def test_a_memory_that_does_not_rank_has_no_ndcg() -> None:
    assert summarise(run(), manifest()).to_json()["backends"]["oracle"]["ndcg@10"] is None


def test_session_scores_are_means_over_the_answerable_questions_that_name_sessions() -> None:
    """Found first, found sixth, and not found; what is left out would move every mean."""
    six = ["D9", "D8", "D7", "D6", "D5", "D1"]
    left_out = [
        record(question_id="q3", unanswerable=True, retrieved_sessions=[]),
        record(question_id="q4", evidence_sessions=[], retrieved_sessions=[]),
        failed(question_id="q5"),
    ]
    records = [
        record(),
        record(question_id="q1", retrieved_sessions=six),
        record(question_id="q2", retrieved_sessions=[], evidence_sessions=["D1", "D2"]),
        *left_out,
    ]
    engram = summarise(records, manifest()).to_json()["backends"]["engram"]
    for name in ("recall", "recall_any", "recall_all", "ndcg"):
        assert engram[f"session_{name}@5"] == pytest.approx(1 / 3)
    assert engram["session_recall@10"] == pytest.approx(2 / 3)
    assert engram["session_ndcg@10"] == pytest.approx((1 + 1 / math.log2(6)) / 3)
    assert engram["sessions_in_context"] == pytest.approx((1 + 6 + 0 + 0 + 0) / 5)


def test_backends_without_ranks_and_records_without_sessions_have_no_session_scores() -> None:
    backends = summarise(run(), manifest()).to_json()["backends"]
    old = [changed(item, retrieved_sessions=None, evidence_sessions=None) for item in run()]
    without_ranks = [backends["oracle"], backends["none"], summarise(old, manifest()).to_json()["backends"]["engram"]]
    assert backends["engram"]["session_recall@5"] == pytest.approx(2 / 3)
    assert [facts[name] for facts in without_ranks for name in _SESSION_SCORES] == [None] * 24


def test_questions_without_evidence_are_left_out_of_retrieval() -> None:
    records = [record(), record(question_id="q2", evidence=[], evidence_recall=None, evidence_all=None)]
    assert summarise(records, manifest()).to_json()["backends"]["engram"]["evidence_recall"] == 1.0


def test_evidence_measures_have_intervals_over_conversations() -> None:
    shares = [(0.5, "a"), (1.0, "a"), (0.0, "b"), (None, "b"), (1.0, "c"), (0.25, "c")]
    records = [
        record(
            question_id=f"q{i}",
            conversation_id=c,
            evidence_recall=share,
            evidence_all=None if share is None else share == 1,
        )
        for i, (share, c) in enumerate(shares)
    ] + [record(question_id="q9", unanswerable=True, evidence_recall=1.0), failed(question_id="q10")]
    facts = summarise(records, manifest()).to_json()["backends"]["engram"]
    known = [(share, c) for share, c in shares if share is not None]
    clusters = [c for _, c in known]
    assert facts["evidence_recall_ci"] == list(bootstrap_proportion([share for share, _ in known], clusters, seed=0))
    assert facts["evidence_all_ci"] == list(bootstrap_proportion([share == 1 for share, _ in known], clusters, seed=0))
    low, high = facts["by_category"]["single-hop"]["evidence_recall_ci"]
    assert low < facts["evidence_recall"] < high
    nothing = summarise([record(evidence_recall=None, evidence_all=None)], manifest()).to_json()["backends"]["engram"]
    assert nothing["evidence_recall_ci"] == nothing["evidence_all_ci"] is None


def test_no_records_give_a_summary_of_unknowns() -> None:
    summary = summarise([], manifest())
    assert summary.backends["engram"].mean("accuracy") is None
    assert summary.backends["engram"].errors == 0
    assert not summary.complete


def test_complete_means_every_question_of_every_backend() -> None:
    assert summarise(run(), manifest()).complete
    assert not summarise(run()[:-1], manifest()).complete


_ANY = st.lists(
    st.builds(
        lambda i, correct, f1, category, ok: (
            record(question_id=str(i), correct=correct, f1=f1, category=category)
            if ok
            else failed(question_id=str(i), category=category)
        ),
        st.integers(0, 1000), st.booleans(), st.floats(0, 1), st.sampled_from(["multi-hop", "single-hop"]), st.booleans(),
    ),
    unique_by=lambda item: item.question_id, max_size=30,
)  # fmt: skip


@settings(max_examples=20)
@given(_ANY)
def test_means_equal_those_computed_by_hand(records: list[Record]) -> None:
    engram = summarise(records, manifest(backends={"engram": backend()})).to_json()["backends"]["engram"]
    good = [item for item in records if item.status == "ok"]
    assert engram["answered"] + engram["errors"] == len(records)
    assert engram["accuracy"] == (pytest.approx(mean(bool(item.correct) for item in good)) if good else None)
    assert engram["f1"] == (pytest.approx(mean(item.f1 or 0 for item in good)) if good else None)
    if good:
        low, high = engram["accuracy_ci"]
        assert 0 <= low <= high <= 1


def test_cost_is_each_conversations_ingestion_once_and_every_answer() -> None:
    """Two conversations of $2 each, two answers of 50 and two of 30 cents, one of them adversarial."""
    engram = summarise(priced_run(), manifest(backends=PRICED)).to_json()["backends"]["engram"]
    assert engram["ingest_cost_usd"] == 4.0
    assert engram["answer_cost_usd"] == pytest.approx(1.6)
    assert engram["cost_usd"] == pytest.approx(5.6)
    assert engram["cost_per_correct_usd"] == pytest.approx((4.0 + 1.3) / 2)  # of the headline's two right answers
    assert engram["judge_cost_usd"] == pytest.approx(0.04)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(0, 1000), st.integers(0, 1000))
def test_a_memory_is_cheaper_from_the_first_question_that_makes_it_so(once: int, each: int, whole: int) -> None:
    """In whole dollars, which are exact: before question n it is not cheaper, with it it is."""
    records = [
        record(backend="engram", ingest_cost_usd=float(once), cost_usd=float(each)),
        record(backend="full-history", ingest_cost_usd=0.0, cost_usd=float(whole)),
    ]
    backends = {label: PRICED[label] for label in ("engram", "full-history")}
    engram = summarise(records, manifest(backends=backends)).to_json()["backends"]["engram"]
    if whole == 0:
        assert engram["cheaper_than_full_history"] is None
        return
    n = engram["cheaper_than_full_history"]["question"]
    if n is None:
        assert each >= whole
    else:
        assert once + n * each < n * whole
        assert n == 1 or once + (n - 1) * each >= (n - 1) * whole


def test_votes_are_summarised_by_how_often_they_differ() -> None:
    def voted(i: int, *votes: bool) -> Record:
        return record(question_id=f"q{i}", judge={"name": "llm", "votes": list(votes), "reason": ""})

    records = [
        voted(0, True, True, True),
        voted(1, True, False, True),
        voted(2, False, False, True),
        voted(3, True, True, True),
    ]
    votes = summarise(records, manifest()).to_json()["backends"]["engram"]["votes"]
    assert votes == {"accuracy": [0.75, 0.5, 1.0], "mean": 0.75, "sd": 0.25, "split": 0.5}
    assert summarise(run(), manifest()).to_json()["backends"]["engram"]["votes"] is None
