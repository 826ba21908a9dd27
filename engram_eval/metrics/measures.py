"""All measures, in the order of the columns in tables."""

from __future__ import annotations

from engram_eval.metrics.accuracy import ACCURACY
from engram_eval.metrics.answer_in_context import ANSWER_IN_CONTEXT
from engram_eval.metrics.context_tokens import CONTEXT_TOKENS
from engram_eval.metrics.cost import COST_USD
from engram_eval.metrics.evidence import EVIDENCE_ALL, EVIDENCE_CLAIMED, EVIDENCE_RECALL
from engram_eval.metrics.f1 import F1
from engram_eval.metrics.latency import ANSWER_S, JUDGE_S, LATENCY_S, RETRIEVAL_S
from engram_eval.metrics.measure import Measure, TableName
from engram_eval.metrics.ndcg import NDCG_10
from engram_eval.metrics.session_retrieval import SESSION_MEASURES

MEASURES: tuple[Measure, ...] = (
    ACCURACY,
    F1,
    EVIDENCE_RECALL,
    EVIDENCE_ALL,
    EVIDENCE_CLAIMED,
    NDCG_10,
    ANSWER_IN_CONTEXT,
    CONTEXT_TOKENS,
    *SESSION_MEASURES,
    RETRIEVAL_S,
    ANSWER_S,
    LATENCY_S,
    JUDGE_S,
    COST_USD,
)


def summarised_measures() -> list[Measure]:
    """The measures that a summary has."""
    return [measure for measure in MEASURES if measure.summary]


def table_measures(table: TableName) -> list[Measure]:
    """The measures that have a column in a result table."""
    return [measure for measure in MEASURES if measure.table == table]


def gated_measures() -> list[Measure]:
    """The measures that gate rules can use."""
    return [measure for measure in MEASURES if measure.gate]
