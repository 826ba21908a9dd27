"""Session retrieval: how high the evidence sessions rank, by LongMemEval's official session-level formulas."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

from engram_eval.metrics.measure import Measure
from engram_eval.results.record import Record
from engram_eval.tables.numbers import one_decimal, share

_CUTOFFS = (5, 10)


def session_scores(retrieved: Sequence[str], evidence: Collection[str]) -> dict[str, float]:
    """How high the evidence sessions rank among the retrieved ones, from 0 to 1; empty without evidence.

    `retrieved`: distinct sessions of the turns in the context, each at the rank of its best turn. For k = 5 and 10:
    `session_recall@k` is the share of evidence sessions among the first k; `session_recall_any@k` and
    `session_recall_all@k`, whether any or all are; `session_ndcg@k`, nDCG with binary gain and the discount of
    Järvelin & Kekäläinen (2002) with base 2: ranks 1 and 2 count fully, rank r beyond them 1 / log2 r.

    The last three are the session-level formulas of LongMemEval's retrieval script (xiaowu0162/LongMemEval,
    `evaluate_retrieval` in src/retrieval/eval_utils.py). We apply them differently, because we measure memories and
    not indexes:

    - Only the context is ranked. The script ranks the whole history; a context that is full before it holds k sessions has
      nothing at the remaining ranks.
    - Turns of both sides are ranked, and every session that the dataset names as evidence counts. The script indexes
      user turns and counts a session only if one of its user turns is labelled; if only the assistant gave the answer, the
      script has no correct session, so its recall_all is 1 and the other two are 0.
    - Ranks are ranks of sessions. From a ranking of turns the script takes as many turns as reach k sessions and counts
      each labelled turn of a correct session in nDCG.
    - Means over questions leave out unanswerable questions (as the script does), questions without evidence sessions, and
      errors.
    """
    relevant = set(evidence)
    if not relevant:
        return {}
    scores = {}
    for k in _CUTOFFS:
        ranks = [rank for rank, session_id in enumerate(retrieved[:k], start=1) if session_id in relevant]
        recall = len(ranks) / len(relevant)
        scores[f"session_recall@{k}"] = recall
        scores[f"session_recall_any@{k}"] = float(recall > 0)
        scores[f"session_recall_all@{k}"] = float(recall == 1)
        scores[f"session_ndcg@{k}"] = _discounted(ranks) / _discounted(range(1, min(k, len(relevant)) + 1))
    return scores


def _discounted(ranks: Iterable[int]) -> float:
    return sum(1 / math.log2(max(rank, 2)) for rank in ranks)


def _measure(name: str, heading: str | None = None) -> Measure:
    def value(record: Record) -> float | None:
        if record.status != "ok" or not record.answerable or not record.ranked:
            return None
        if record.retrieved_sessions is None or record.evidence_sessions is None:
            return None
        return session_scores(record.retrieved_sessions, record.evidence_sessions).get(name)

    return Measure(name, heading or name, value, share, "high", "mean", "sessions" if heading else None)


def _sessions_in_context(record: Record) -> float | None:
    return len(record.retrieved_sessions) if record.status == "ok" and record.retrieved_sessions is not None else None


SESSIONS_IN_CONTEXT = Measure(
    "sessions_in_context", "in context, mean", _sessions_in_context, one_decimal, None, "mean", "sessions", unit="count"
)  # fmt: skip
SESSION_MEASURES = (
    SESSIONS_IN_CONTEXT,
    _measure("session_recall_all@5", "recall all@5"),
    _measure("session_recall_all@10", "recall all@10"),
    _measure("session_ndcg@5", "nDCG@5"),
    _measure("session_ndcg@10", "nDCG@10"),
    *(_measure(f"{name}@{k}") for k in _CUTOFFS for name in ("session_recall", "session_recall_any")),
)
