"""The charts of the page, in their order."""

from __future__ import annotations

from collections.abc import Sequence

from engram_eval.compare.rows import BackendRow
from engram_eval.metrics.context_tokens import CONTEXT_TOKENS
from engram_eval.metrics.latency import LATENCY_S
from engram_eval.report.bars import accuracy_by_category, failure_stages
from engram_eval.report.boxes import spread
from engram_eval.report.data import BackendAnswers
from engram_eval.report.drawing import Chart, approximate
from engram_eval.report.scatter import scatter
from engram_eval.report.sweep import sweep_chart, sweeps
from engram_eval.report.text import distinct_labels


def charts(backends: Sequence[BackendAnswers], categories: Sequence[str]) -> list[Chart]:
    """The charts that have something to show, without the sweeps. `categories` are in the order of the page."""
    rows = [backend.row for backend in backends]
    names = distinct_labels(row.name for row in rows)
    drawn = [
        scatter(rows, names, "Accuracy against context tokens", "context tokens, mean (log)", _mean_tokens, approximate),
        scatter(rows, names, "Accuracy against latency", "latency per question, median, in ms (log)", _median_ms, approximate),
        accuracy_by_category(rows, names, categories),
        spread(
            "Latency per question", "retrieval + answer, in ms (log)", names,
            [[1000 * seconds for seconds in backend.latencies_s] for backend in backends],
        ),
        spread("Context per question", "tokens (log)", names, [backend.context_tokens for backend in backends]),
        failure_stages(rows, names),
    ]  # fmt: skip
    return [chart for chart in drawn if chart]


def sweep_charts(rows: Sequence[BackendRow], run_names: dict[str, str]) -> list[Chart]:
    """A chart for each sweep that has something to show. `run_names` are by path."""
    drawn = (sweep_chart(sweep, run_names[sweep.run] if len(run_names) > 1 else None) for sweep in sweeps(rows))
    return [chart for chart in drawn if chart]


def _mean_tokens(row: BackendRow) -> float | None:
    return row.summary.spread(CONTEXT_TOKENS.name).mean


def _median_ms(row: BackendRow) -> float | None:
    median = row.summary.spread(LATENCY_S.name).p50
    return None if median is None else 1000 * median
