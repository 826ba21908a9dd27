"""The result of a check as Markdown, for a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from engram_eval.gate.rule_result import RuleResult
from engram_eval.gate.text import conclusion, plain, result_cells


def to_markdown(results: Sequence[RuleResult], notes: Sequence[str], title: str, fault: str | None = None) -> str:
    """`fault`: why nothing could be compared."""
    headline = f"Cannot compare: {_quoted(fault)}" if fault is not None else conclusion(results)
    lines = ["### engram-eval check", "", headline, "", _quoted(title), ""]
    if results:
        lines += ["| | backend | metric | baseline → run | difference (95 % interval) | margin | n |"]
        lines += ["|---|---|---|--:|--:|--:|--:|"]
    for result in results:
        outcome, backend, rule, means, change, margin, n = result_cells(result)
        mark = f"**{outcome}**" if outcome == "FAILS" else outcome
        figures = (means.replace(" -> ", " → "), change, margin.removeprefix("margin "), n.removeprefix("n "))
        lines.append(f"| {mark} | {_quoted(backend)} | {_quoted(rule)} | {' | '.join(figures)} |")
    lines += [""] if results else []
    lines += [f"- {_quoted(note)}" for note in notes]
    return "\n".join(lines).rstrip() + "\n"


def _quoted(text: str) -> str:
    """As inline code, so that Markdown finds no markup, link or mention in it."""
    return "`" + plain(text).replace("`", "'").replace("|", "\\|") + "`"
