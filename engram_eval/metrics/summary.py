"""Metrics: a run's records in, its `summary.json` out. Nothing else is read, so it can be rebuilt at any time.

Accuracy, F1, tokens, latency and retrieval are over the headline categories; the others stand in `by_category`. A
question that ended in an error is counted in `errors`, over all categories, and in nothing else.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from engram_eval.metrics.cost import sum_or_none
from engram_eval.metrics.failure_stage import FailureStage, LabelErrors, failure_stage
from engram_eval.metrics.retrieval import SESSION_SCORES, ndcg, session_scores
from engram_eval.metrics.stats import bootstrap_proportion
from engram_eval.results.record import Record

_ENDLESS = 10**9  # questions


def summarise(
    records: Iterable[Record], manifest: Mapping[str, Any], *, label_errors: LabelErrors | None = None
) -> dict[str, Any]:
    """The summary of a run. Backends stand in the order of the manifest. `label_errors` count among the causes of misses."""
    dataset = manifest["dataset"]
    seed = manifest["seed"]
    frame = pd.DataFrame(
        (_row(record, label_errors) for record in records), columns=[*_TAKEN, *_DERIVED, *SESSION_SCORES]
    ).astype(object)
    backends = {}
    for label, facts in manifest["backends"].items():
        mine = frame[frame["backend"] == encodable(label)]
        headline = mine[mine["category"].isin(dataset["headline"])]
        backends[label] = {
            **{key: facts[key] for key in ("context_limit", "control", "sees_evidence", "paraphrases")},
            "expected": dataset["questions"],
            **_scores(headline, seed),
            "errors": int((mine["status"] == "error").sum()),
            "cut": int(mine["cut"].astype(bool).sum()),
            "by_category": {
                category: _scores(mine[mine["category"] == category], seed)
                for category in dataset["categories"]
                if (mine["category"] == category).any()
            },
            **_costs(headline, ranked=facts["context_limit"] == "budget"),
            "ingest_s": {"total": _once_a_conversation(mine, "ingest_s")},
            "ingest_warnings": int(_once_a_conversation(mine, "ingest_warnings") or 0),
            **_money(mine, headline),
            "votes": _votes(headline),
            "causes": {str(cause): int((headline["cause"] == cause).sum()) for cause in FailureStage},
        }
    _break_even(backends)
    return {
        "backends": backends,
        "dataset": dataset,
        "reader": manifest["reader"],
        "judge": manifest["judge"],
        "complete": len(frame) == dataset["questions"] * len(manifest["backends"]),
    }


# What is taken from a record as it is, and what is made of it: texts and lists stay behind, or a large run would not fit.
_TAKEN = (
    "backend", "conversation_id", "category", "unanswerable", "status", "correct", "f1", "context_tokens", "cost_usd",
    "retrieval_s", "answer_s", "judge_s", "ingest_s", "ingest_cost_usd", "ingest_warnings", "evidence_recall", "evidence_all",
    "answer_in_context", "truncated", "cut",
)  # fmt: skip
_DERIVED = ("ndcg", "names_turns", "judge_cost_usd", "votes", "cause", "sessions")


def encodable(text: str) -> str:
    """Half of a surrogate pair, which no column can hold, as its escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def _row(record: Record, label_errors: LabelErrors | None) -> tuple[Any, ...]:
    values = (getattr(record, name) for name in _TAKEN)
    judge = record.judge or {}
    votes = tuple(judge.get("votes", ()))
    ranked, wanted = record.retrieved_sessions, record.evidence_sessions
    sessions = {} if ranked is None or wanted is None else session_scores(ranked, wanted)
    return (
        *(sys.intern(encodable(value)) if isinstance(value, str) else value for value in values),
        ndcg(record.retrieved, record.evidence),
        bool(record.retrieved),
        judge.get("cost_usd"),
        votes if len(votes) > 1 else None,
        failure_stage(record, label_errors),
        None if ranked is None else len(ranked),
        *(sessions.get(name) for name in SESSION_SCORES),
    )


def _scores(frame: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Right or wrong, and whether the evidence was there."""
    answered = frame[frame["status"] == "ok"]
    # Where the right answer is to abstain, the evidence labels name what baits, not what answers.
    answerable = answered[~answered["unanswerable"].astype(bool)]
    unanswerable = answered[answered["unanswerable"].astype(bool)]
    return {
        "n": len(frame),
        "answered": len(answered),
        "errors": len(frame) - len(answered),
        "accuracy": _mean(answered["correct"]),
        "accuracy_ci": _interval(answered, "correct", seed),
        "f1": _mean(answered["f1"]),
        "evidence_recall": _mean(answerable["evidence_recall"]),
        "evidence_recall_ci": _interval(answerable, "evidence_recall", seed),
        "evidence_all": _mean(answerable["evidence_all"]),
        "evidence_all_ci": _interval(answerable, "evidence_all", seed),
        "answer_in_context": _mean(answerable["answer_in_context"]),
        "unanswerable": {"n": len(unanswerable), "accuracy": _mean(unanswerable["correct"])},
    }


def _costs(frame: pd.DataFrame, *, ranked: bool) -> dict[str, Any]:
    """Tokens and latency, and for a memory that ranks, how well."""
    answered = frame[frame["status"] == "ok"]
    answerable = answered[~answered["unanswerable"].astype(bool)]
    names_turns = bool(answered["names_turns"].any())
    return {
        "ndcg@10": _mean(answerable["ndcg"]) if ranked and names_turns else None,
        **{name: _mean(answerable[name]) if ranked and names_turns else None for name in SESSION_SCORES},
        "sessions_in_context": _mean(answered["sessions"]) if names_turns else None,
        "context_tokens": {"mean": _mean(answered["context_tokens"]), **_quantiles(answered["context_tokens"])},
        "retrieval_s": _quantiles(answered["retrieval_s"]),
        "answer_s": _quantiles(answered["answer_s"]),
        "latency_s": _quantiles(answered["retrieval_s"].astype(float) + answered["answer_s"].astype(float)),
        "judge_s": _quantiles(answered["judge_s"]),
        "names_turns": names_turns,
        "truncated": int(answered["truncated"].astype(bool).sum()),
    }


def _mean(values: pd.Series[Any]) -> float | None:
    known = values.dropna().astype(float)
    return float(known.mean()) if len(known) else None


def _interval(frame: pd.DataFrame, column: str, seed: int) -> list[float] | list[None]:
    """Of a share's mean, the 95 % interval; [None, None] where no share is known."""
    known = frame.dropna(subset=[column])
    shares = [float(value) for value in known[column]]
    return list(bootstrap_proportion(shares, list(known["conversation_id"]), seed=seed)) if shares else [None, None]


def _quantiles(values: pd.Series[Any]) -> dict[str, float | None]:
    known = values.dropna().astype(float)
    if not len(known):
        return {"p50": None, "p95": None}
    p50, p95 = np.percentile(known, [50, 95])
    return {"p50": float(p50), "p95": float(p95)}


def _once_a_conversation(frame: pd.DataFrame, column: str) -> float | None:
    """The sum of what all records of a conversation carry alike; None where none does."""
    known = frame.dropna(subset=[column])
    return float(known.groupby("conversation_id")[column].max().astype(float).sum()) if len(known) else None


def _money(mine: pd.DataFrame, headline: pd.DataFrame) -> dict[str, Any]:
    """US dollars, cached or not; None where one is not known. A memory's own are ingestion and answers (recall and reader);
    the judge's stand apart."""
    ingested = mine.drop_duplicates("conversation_id")
    answered, scored = mine[mine["status"] == "ok"], headline[headline["status"] == "ok"]
    ingest, answers = _sum_or_none(ingested["ingest_cost_usd"]), _sum_or_none(answered["cost_usd"])
    mine_alone = sum_or_none([ingest, _sum_or_none(scored["cost_usd"])])
    correct = int(scored["correct"].fillna(False).astype(bool).sum())
    return {
        "cost_usd": sum_or_none([ingest, answers]),
        "ingest_cost_usd": ingest,
        "answer_cost_usd": answers,
        "judge_cost_usd": _sum_or_none(answered["judge_cost_usd"]),
        "cost_per_correct_usd": mine_alone / correct if correct and mine_alone is not None else None,
        "cost_per_question_usd": answers / len(answered) if len(answered) and answers is not None else None,
        "cost_per_conversation_usd": ingest / len(ingested) if len(ingested) and ingest is not None else None,
    }


def _break_even(backends: dict[str, dict[str, Any]]) -> None:
    """The number of questions about a conversation from which a memory is cheaper than the full history.

    A history costs nothing to ingest and its length each time: n answers cost less once n x (its cost a question - the
    memory's) is over what ingesting the conversation cost. None: never.
    """
    whole = next((facts for facts in backends.values() if facts["context_limit"] == "window"), None)
    if whole is None or not whole["cost_per_question_usd"]:
        return
    for facts in backends.values():
        each, once = facts["cost_per_question_usd"], facts["cost_per_conversation_usd"]
        if facts is not whole and each is not None and once is not None:
            saved = whole["cost_per_question_usd"] - each
            after = once / saved if saved > 0 else math.inf
            facts["cheaper_than_full_history_after"] = math.floor(after) + 1 if after < _ENDLESS else None


def _votes(frame: pd.DataFrame) -> dict[str, Any] | None:
    """Accuracy by the first, the second … verdict on each answer, and how many answers they differed on."""
    votes = list(frame["votes"].dropna())
    if not votes or len({len(of_one) for of_one in votes}) > 1:
        return None
    return {
        "accuracy": [float(share) for share in np.mean(np.array(votes, float), axis=0)],
        "split": float(np.mean([len(set(of_one)) > 1 for of_one in votes])),
    }


def _sum_or_none(values: pd.Series[Any]) -> float | None:
    return sum_or_none(None if value is None or value != value else float(value) for value in values)
