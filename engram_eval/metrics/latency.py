"""The times of a question. Latency is retrieval plus answer (the ENGRAM paper calls it total) and excludes judging."""

from __future__ import annotations

from engram_eval.metrics.measure import Measure
from engram_eval.tables.numbers import milliseconds

RETRIEVAL_S = Measure(
    "retrieval_s", "retrieval ms", lambda record: record.retrieval_s, milliseconds, None, "spread", "time", unit="seconds"
)  # fmt: skip
ANSWER_S = Measure(
    "answer_s", "answer ms", lambda record: record.answer_s, milliseconds, None, "spread", "time", unit="seconds"
)
LATENCY_S = Measure(
    "latency_s", "total ms", lambda record: record.latency_s, milliseconds, "low", "spread", "time",
    unit="seconds", gate="ratio",
)  # fmt: skip
JUDGE_S = Measure("judge_s", "judge ms", lambda record: record.judge_s, milliseconds, None, "spread", unit="seconds")
