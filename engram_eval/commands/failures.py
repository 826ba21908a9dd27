"""`failures`: the answers of a run that are wrong, and at which stage what they take was lost."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from engram_eval.commands import DONE, command, positive
from engram_eval.errors import UserError


def add(commands: Any) -> None:
    parser = command(
        commands, "failures", _failures, "list wrong answers with the stage at which what they take was lost",
        """failures results/locomo-20260101-120000
failures results/locomo-20260101-120000 --backend engram --cause stored --category multi-hop""",
    )  # fmt: skip
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("--backend", metavar="NAME", help="only this memory (all but the controls)")
    parser.add_argument("--cause", metavar="CAUSE", help="only this cause, by its name or the beginning of it")
    parser.add_argument("--category", metavar="NAME", help="only this category")
    parser.add_argument("--limit", type=positive, default=20, metavar="N", help="how many are listed (20)")
    parser.add_argument("--known-errors", type=Path, metavar="FILE.json", help="known errors of the answer key")


def _failures(options: argparse.Namespace) -> int:
    from rich.console import Console

    from engram_eval.causes import Cause, KeyErrors, cause_of, read_key_errors
    from engram_eval.results import RunFolder

    folder = RunFolder(options.run)
    facts = folder.manifest()["backends"]
    if options.backend and options.backend not in facts:
        raise UserError(f"{options.run}: has no backend {options.backend!r}; it has {', '.join(facts)}")
    wanted = [cause for cause in Cause if cause.startswith(options.cause or "")]
    if not wanted:
        raise UserError(f"--cause {options.cause!r}: is none of {', '.join(Cause)}")
    labels = [options.backend] if options.backend else [label for label, of in facts.items() if not of["control"]]
    known = read_key_errors(options.known_errors) if options.known_errors else KeyErrors()
    found = [
        (record, cause)
        for record in folder.records()
        if record.backend in labels
        and options.category in (None, record.category)
        and (cause := cause_of(record, known)) in wanted
    ]
    console = Console(highlight=False, soft_wrap=True)
    for record, cause in found[: options.limit]:
        console.print(f"{record.question_id}  {record.backend}  {record.category}  {cause}", style="bold", markup=False)
        console.print(f"  question  {record.question}", markup=False)
        console.print(f"  gold      {record.gold}", markup=False)
        console.print(f"  answer    {record.answer}", markup=False)
    shown = min(len(found), options.limit)
    console.print(
        f"{shown:,} of {len(found):,} wrong answers; one with its context: engram-eval show {options.run} QUESTION"
    )
    return DONE
