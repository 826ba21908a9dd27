"""Metrics: a run's records in, its `summary.json` out. Nothing else is read, so it can be rebuilt at any time.

Accuracy, F1, tokens, latency and retrieval are over the headline categories; the others stand in `by_category`. A
question that ended in an error is counted in `errors`, over all categories, and in nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from engram_eval.evidence import ndcg
from engram_eval.results import Record
from engram_eval.stats import bootstrap_share


def summarise(records: Sequence[Record], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The summary as DESIGN section 5 defines it. Backends stand in the order of the manifest."""
    dataset = manifest["dataset"]
    seed = manifest["seed"]
    frame = pd.DataFrame([asdict(record) for record in records], columns=[*Record.__dataclass_fields__])
    backends = {}
    for label, facts in manifest["backends"].items():
        mine = frame[frame["backend"] == label]
        headline = mine[mine["category"].isin(dataset["headline"])]
        backends[label] = {
            **{key: facts[key] for key in ("limit", "control", "sees_evidence", "paraphrases")},
            "expected": dataset["questions"],
            **_scores(headline, seed),
            "errors": int((mine["status"] == "error").sum()),
            "cut": int(mine["cut"].astype(bool).sum()),
            "by_category": {
                category: _scores(mine[mine["category"] == category], seed)
                for category in dataset["categories"]
                if (mine["category"] == category).any()
            },
            **_costs(headline, ranked=facts["limit"] == "budget"),
            "ingest_s": {"total": _total_ingest(mine)},
            "cost_usd": float(mine["cost_usd"].dropna().astype(float).sum()),
        }
    return {
        "backends": backends,
        "dataset": dataset,
        "reader": manifest["reader"],
        "judge": manifest["judge"],
        "complete": len(records) == dataset["questions"] * len(manifest["backends"]),
    }


def _scores(frame: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Right or wrong, and whether the evidence was there."""
    answered = frame[frame["status"] == "ok"]
    correct = [bool(value) for value in answered["correct"]]
    interval = bootstrap_share(correct, list(answered["conversation_id"]), seed=seed) if correct else (None, None)
    # Where the right answer is to abstain, the evidence labels name what baits, not what answers.
    answerable = answered[~answered["unanswerable"].astype(bool)]
    unanswerable = answered[answered["unanswerable"].astype(bool)]
    return {
        "n": len(frame),
        "answered": len(answered),
        "errors": len(frame) - len(answered),
        "accuracy": _mean(answered["correct"]),
        "accuracy_ci": list(interval),
        "f1": _mean(answered["f1"]),
        "evidence_recall": _mean(answerable["evidence_recall"]),
        "evidence_all": _mean(answerable["evidence_all"]),
        "answer_in_context": _mean(answerable["answer_in_context"]),
        "unanswerable": {"n": len(unanswerable), "accuracy": _mean(unanswerable["correct"])},
    }


def _costs(frame: pd.DataFrame, *, ranked: bool) -> dict[str, Any]:
    """Tokens and latency, and for a memory that ranks, how well."""
    answered = frame[frame["status"] == "ok"]
    answerable = answered[~answered["unanswerable"].astype(bool)]
    names_turns = answered["retrieved"].map(len).sum() > 0
    pairs = zip(answerable["retrieved"], answerable["evidence"], strict=True) if ranked and names_turns else ()
    gains = [ndcg(retrieved, evidence) for retrieved, evidence in pairs]
    return {
        "ndcg@10": _mean(pd.Series(gains, dtype=object)),
        "context_tokens": {"mean": _mean(answered["context_tokens"]), **_quantiles(answered["context_tokens"])},
        "recall_s": _quantiles(answered["recall_s"]),
        "answer_s": _quantiles(answered["answer_s"]),
        "latency_s": _quantiles(answered["recall_s"].astype(float) + answered["answer_s"].astype(float)),
        "judge_s": _quantiles(answered["judge_s"]),
        "names_turns": bool(names_turns),
        "truncated": int(answered["truncated"].astype(bool).sum()),
    }


def _mean(values: pd.Series[Any]) -> float | None:
    known = values.dropna().astype(float)
    return float(known.mean()) if len(known) else None


def _quantiles(values: pd.Series[Any]) -> dict[str, float | None]:
    known = values.dropna().astype(float)
    if not len(known):
        return {"p50": None, "p95": None}
    p50, p95 = np.percentile(known, [50, 95])
    return {"p50": float(p50), "p95": float(p95)}


def _total_ingest(frame: pd.DataFrame) -> float | None:
    """Each conversation once: all its records carry the time that its ingestion took. None where none does."""
    known = frame.dropna(subset=["ingest_s"])
    return float(known.groupby("conversation_id")["ingest_s"].max().sum()) if len(known) else None
