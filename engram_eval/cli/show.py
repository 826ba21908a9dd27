"""`show`: one question with its answers, verdicts and contexts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engram_eval.cli.command import DONE, define

if TYPE_CHECKING:
    from engram_eval.metrics.failure_stage import LabelErrors
    from engram_eval.results.record import Record


def add(parser: argparse.ArgumentParser) -> None:
    define(
        parser, _show,
        """show results/locomo-20260101-120000 conv-26:q0
show results/locomo-20260101-120000 conv-26:q0 --backend engram""",
    )  # fmt: skip
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="a run's folder")
    add("question", metavar="QUESTION", help="a question's id, as in records.jsonl")
    add("--backend", action="append", metavar="NAME", help="only this memory; can be repeated (default: all)")
    add("--known-errors", type=Path, metavar="FILE.json", help="known errors of the answer key")


def _show(options: argparse.Namespace) -> int:
    from rich.console import Console

    from engram_eval.metrics.failure_stage import LabelErrors, read_label_errors
    from engram_eval.results.question import read_question

    question = read_question(options.run, options.question, options.backend or ())
    known = read_label_errors(options.known_errors) if options.known_errors else LabelErrors()
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    _print_question(question.records[0], known, console)
    for record in question.records:
        _print_answer(record, known, console)
        if record.status == "ok":
            _print_context(question.contexts.get(record.backend), question.evidence, console)
    return DONE


def _print_question(record: Record, known: LabelErrors, console: Any) -> None:
    _print(console, f"{record.question_id}  {record.category}", style="bold")
    _print(console, f"question  {record.question}")
    _print(console, f"gold      {record.gold or '(none: it is unanswerable)'}")
    _print(console, f"evidence  {', '.join(record.evidence) or '(none labelled)'}")
    if reason := known.reason(record.question_id):
        _print(console, f"the answer key is known to be wrong here: {reason}")


def _print_answer(record: Record, known: LabelErrors, console: Any) -> None:
    from engram_eval.metrics.evidence import evidence_states
    from engram_eval.metrics.failure_stage import failure_stage

    _print(console, f"\n{record.backend}", style="bold")
    if record.status == "error":
        _print(console, f"error     {record.error}")
        return
    _print(console, f"answer    {record.answer}")
    judge = ""
    if record.judge:
        votes = "".join("+" if vote else "-" for vote in record.votes)
        judge = f" ({record.judge.name}{f' {votes}' if len(votes) > 1 else ''}): {record.judge.reason}"
    _print(console, f"verdict   {'right' if record.correct else 'wrong'}{judge}")
    if stage := failure_stage(record, known):
        _print(console, f"failure   {stage}")
    f1 = "–" if record.f1 is None else f"{record.f1:.2f}"
    _print(console, f"F1        {f1}; {record.context_tokens or 0:,} context tokens")
    states = [f"{', '.join(turn_ids)} {state}" for state, turn_ids in evidence_states(record).items()]
    _print(console, f"evidence  {'; '.join(states) or '–'}")


def _print_context(context: str | None, evidence: list[str], console: Any) -> None:
    from engram_eval.metrics.evidence import mark_evidence

    if context is None:
        _print(console, "context   (not kept)")
        return
    _print(console, "context   (>> evidence)" if evidence else "context")
    for line, is_evidence in mark_evidence(context, evidence):
        _print(console, f"{'>>' if is_evidence else '  '} {line}", style="bold" if is_evidence else None)


def _print(console: Any, text: str, style: str | None = None) -> None:
    from engram_eval.tables.text import visible

    console.print(visible(text), style=style, markup=False)
