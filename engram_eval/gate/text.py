"""The result of a check as text, for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from engram_eval.gate.rule_result import RuleResult


def result_lines(results: Sequence[RuleResult]) -> list[str]:
    """One line per rule and backend, in columns."""
    rows = [result_cells(result) for result in results]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def result_cells(result: RuleResult) -> tuple[str, ...]:
    """Outcome, backend, rule, means, difference with interval, margin, number of questions."""
    metric, difference = result.rule.metric, result.difference
    interval = " to ".join(map(metric.show_difference, difference.interval)) if difference.interval else "no interval"
    category = f" of {result.rule.category}" if result.rule.category is not None else ""
    return (
        result.outcome,
        plain(result.backend),
        plain(f"{metric.name}{category}"),
        f"{metric.show(result.before)} -> {metric.show(result.now)}",
        f"{metric.show_difference(difference.mean)} ({interval})",
        f"margin {metric.show_difference(result.margin).lstrip('+')}",
        f"n {difference.n:,}",
    )


def conclusion(results: Sequence[RuleResult]) -> str:
    """One sentence on all results."""
    count = Counter(result.outcome for result in results)
    if count["FAILS"]:
        return f"Regressed: {count['FAILS']:,} of {len(results):,} fail."
    unsure = f"; {count['cannot tell']:,} cannot tell" if count["cannot tell"] else ""
    return f"Holds: none of {len(results):,} fails{unsure}."


def plain(text: str) -> str:
    """Names of backends and categories are data: their control characters must not reach a terminal, an XML file or a page."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
