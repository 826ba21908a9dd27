"""`show`: one question, all the way down."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engram_eval.cli.command import DONE, command
from engram_eval.errors import UserError
from engram_eval.tables.text import visible

if TYPE_CHECKING:
    from engram_eval.metrics.failure_stage import LabelErrors
    from engram_eval.results.record import Record


def add(commands: Any) -> None:
    parser = command(
        commands, "show", _show, "print a question with its answers, verdicts and contexts, the evidence marked",
        """show results/locomo-20260101-120000 conv-26:q0
show results/locomo-20260101-120000 conv-26:q0 --backend engram""",
    )  # fmt: skip
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("question", metavar="QUESTION", help="a question's id, as in records.jsonl")
    parser.add_argument("--backend", action="append", metavar="NAME", help="only this memory; may be repeated (all)")
    parser.add_argument("--known-errors", type=Path, metavar="FILE.json", help="known errors of the answer key")


def _show(options: argparse.Namespace) -> int:
    from rich.console import Console

    from engram_eval.metrics.failure_stage import LabelErrors, read_label_errors
    from engram_eval.results.contexts import TURN_MARK
    from engram_eval.results.folder import RunFolder

    folder = RunFolder(options.run)
    labels = list(folder.manifest().backends)
    for name in options.backend or ():
        if name not in labels:
            raise UserError(f"{options.run}: has no backend {name!r}; it has {', '.join(labels)}")
    asked = [record for record in folder.records() if record.question_id == options.question]
    records = [record for record in asked if record.backend in (options.backend or labels)]
    if not records:
        raise UserError(f"{options.run}: has no record of question {options.question!r}; see records.jsonl for its ids")
    known = read_label_errors(options.known_errors) if options.known_errors else LabelErrors()
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    _print_question(records[0], known, console)
    with folder.contexts() as contexts:
        told = next((text for record in asked if (text := contexts.get(record.evidence_text))), "")
        evidence = told.split(TURN_MARK) if told else []
        for record in sorted(records, key=lambda record: labels.index(record.backend)):
            _print_answer(record, contexts.get(record.context), evidence, known, console)
    return DONE


def _print_question(record: Record, known: LabelErrors, console: Any) -> None:
    console.print(visible(f"{record.question_id}  {record.category}"), style="bold", markup=False)
    console.print(visible(f"question  {record.question}"), markup=False)
    console.print(visible(f"gold      {record.gold or '(none: it cannot be answered)'}"), markup=False)
    console.print(visible(f"evidence  {', '.join(record.evidence) or '(none labelled)'}"), markup=False)
    if reason := known.of(record.question_id):
        console.print(visible(f"the answer key is known to be wrong here: {reason}"), markup=False)


def _print_answer(record: Record, context: str | None, evidence: list[str], known: LabelErrors, console: Any) -> None:
    from engram_eval.metrics.failure_stage import failure_stage

    console.print(visible(f"\n{record.backend}"), style="bold", markup=False)
    if record.status == "error":
        console.print(visible(f"error     {record.error}"), markup=False)
        return
    console.print(visible(f"answer    {record.answer}"), markup=False)
    judge = ""
    if record.judge:
        votes = "".join("+" if vote else "-" for vote in record.votes)
        judge = f" ({record.judge.name}{f' {votes}' if len(votes) > 1 else ''}): {record.judge.reason}"
    console.print(visible(f"verdict   {'right' if record.correct else 'wrong'}{judge}"), markup=False)
    if cause := failure_stage(record, known):
        console.print(visible(f"cause     {cause}"), markup=False)
    f1 = "–" if record.f1 is None else f"{record.f1:.2f}"
    console.print(visible(f"F1        {f1}; {record.context_tokens or 0:,} context tokens"), markup=False)
    states = {
        "in the context": record.evidence_found,
        "retrieved, cut by the budget": record.evidence_truncated,
        "not retrieved": [
            t for t in record.evidence_stored if t not in (*record.evidence_found, *record.evidence_truncated)
        ],
        "not stored": [t for t in record.evidence if t not in record.evidence_stored],
    }
    told = [f"{', '.join(turns)} {state}" for state, turns in states.items() if turns]
    console.print(visible(f"evidence  {'; '.join(told) or '–'}"), markup=False)
    if context is None:
        console.print(visible("context   (not kept)"), markup=False)
        return
    console.print(visible("context   (>> evidence)" if evidence else "context"), markup=False)
    for line in context.splitlines():
        marked = _is_evidence(line, evidence)
        console.print(visible(f"{'>>' if marked else '  '} {line}"), style="bold" if marked else None, markup=False)


def _is_evidence(line: str, evidence: list[str]) -> bool:
    """Whether a line holds an evidence turn, whole or nearly so."""
    from engram_eval.metrics.evidence import contains_turn
    from engram_eval.types import Turn

    return any(contains_turn(Turn("", "", turn), line) for turn in evidence)
