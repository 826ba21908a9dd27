"""nDCG: how high the evidence ranks among the retrieved turns."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engram_eval.metrics.measure import Measure
from engram_eval.results.record import Record
from engram_eval.tables.numbers import share


def ndcg(retrieved: Sequence[str], evidence: Sequence[str], cutoff: int = 10) -> float | None:
    """nDCG@cutoff with binary relevance and the discount log2(rank + 1) (Burges et al. 2005); None without evidence.

    Ids in `retrieved` are distinct, best first.
    """
    if not evidence:
        return None
    relevant = set(evidence)
    ranks = [rank for rank, turn_id in enumerate(retrieved[:cutoff], start=1) if turn_id in relevant]
    gain = sum(1 / math.log2(rank + 1) for rank in ranks)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(cutoff, len(relevant)) + 1))
    return gain / ideal


def _value(record: Record) -> float | None:
    """None unless the memory ranks and the question is answerable and has evidence."""
    if record.status != "ok" or not record.answerable or not record.ranked:
        return None
    return ndcg(record.retrieved, record.evidence)


NDCG_10 = Measure("ndcg@10", "nDCG@10", _value, share, "high", "mean", "context", gate="difference")
