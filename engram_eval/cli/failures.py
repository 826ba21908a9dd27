"""`failures`: the wrong answers of a run, and the stage at which the evidence of each was lost."""

from __future__ import annotations

import argparse
from pathlib import Path

from engram_eval.cli.command import DONE, define, positive


def add(parser: argparse.ArgumentParser) -> None:
    define(
        parser, _failures,
        """failures results/locomo-20260101-120000
failures results/locomo-20260101-120000 --backend engram --stage stored --category multi-hop""",
    )  # fmt: skip
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="a run's folder")
    add("--backend", metavar="NAME", help="only this memory (default: all but the controls)")
    add("--stage", metavar="STAGE", help="only this failure stage, by its name or the beginning of it")
    add("--category", metavar="NAME", help="only this category (default: those of the headline)")
    add("--limit", type=positive, default=20, metavar="N", help="how many to list (default: 20)")
    add("--known-errors", type=Path, metavar="FILE.json", help="known errors of the answer key")


def _failures(options: argparse.Namespace) -> int:
    from rich.console import Console

    from engram_eval.metrics.failure_stage import LabelErrors, find_failures, read_label_errors
    from engram_eval.results.folder import RunFolder
    from engram_eval.tables.text import visible

    known = read_label_errors(options.known_errors) if options.known_errors else LabelErrors()
    failures = find_failures(
        RunFolder(options.run), backend=options.backend, stage=options.stage, category=options.category, known=known
    )
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    for record, stage in failures[: options.limit]:
        head = f"{record.question_id}  {record.backend}  {record.category}  {stage}"
        console.print(visible(head), style="bold", markup=False)
        for name in ("question", "gold", "answer"):
            console.print(visible(f"  {name:8}  {getattr(record, name)}"), markup=False)
    shown = min(len(failures), options.limit)
    summary = (
        f"{shown:,} of {len(failures):,} wrong answers; one with its context: engram-eval show {options.run} QUESTION"
    )
    console.print(visible(summary), markup=False)
    return DONE
