"""`failures`: the answers of a run that are wrong, and at which stage what they take was lost."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from engram_eval.cli.command import DONE, command, positive
from engram_eval.errors import UserError
from engram_eval.tables.text import visible


def add(commands: Any) -> None:
    parser = command(
        commands, "failures", _failures, "list wrong answers with the stage at which what they take was lost",
        """failures results/locomo-20260101-120000
failures results/locomo-20260101-120000 --backend engram --cause stored --category multi-hop""",
    )  # fmt: skip
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("--backend", metavar="NAME", help="only this memory (all but the controls)")
    parser.add_argument("--cause", metavar="CAUSE", help="only this cause, by its name or the beginning of it")
    parser.add_argument("--category", metavar="NAME", help="only this category (the headline's)")
    parser.add_argument("--limit", type=positive, default=20, metavar="N", help="how many are listed (20)")
    parser.add_argument("--known-errors", type=Path, metavar="FILE.json", help="known errors of the answer key")


def _failures(options: argparse.Namespace) -> int:
    from rich.console import Console

    from engram_eval.metrics.failure_stage import FailureStage, LabelErrors, failure_stage, read_label_errors
    from engram_eval.results.folder import RunFolder

    folder = RunFolder(options.run)
    backends = folder.manifest().backends
    if options.backend and options.backend not in backends:
        raise UserError(f"{options.run}: has no backend {options.backend!r}; it has {', '.join(backends)}")
    wanted = [cause for cause in FailureStage if cause.startswith(options.cause or "")]
    if not wanted:
        raise UserError(f"--cause {options.cause!r}: is none of {', '.join(FailureStage)}")
    dataset = folder.manifest().dataset
    if options.category and options.category not in dataset.categories:
        raise UserError(f"--category {options.category!r}: is none of {', '.join(dataset.categories)}")
    categories = [options.category] if options.category else dataset.headline
    labels = (
        [options.backend] if options.backend else [label for label, backend in backends.items() if not backend.control]
    )
    known = read_label_errors(options.known_errors) if options.known_errors else LabelErrors()
    found = [
        (record, cause)
        for record in folder.records()
        if record.backend in labels
        and record.category in categories
        and (cause := failure_stage(record, known)) in wanted
    ]
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    for record, cause in found[: options.limit]:
        head = f"{record.question_id}  {record.backend}  {record.category}  {cause}"
        console.print(visible(head), style="bold", markup=False)
        for name in ("question", "gold", "answer"):
            console.print(visible(f"  {name:8}  {getattr(record, name)}"), markup=False)
    shown = min(len(found), options.limit)
    lead = f"{shown:,} of {len(found):,} wrong answers; one with its context: engram-eval show {options.run} QUESTION"
    console.print(visible(lead), markup=False)
    return DONE
