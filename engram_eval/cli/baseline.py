"""`baseline`: writes the scores of a finished run, for `check` to compare later runs with."""

from __future__ import annotations

import argparse
from pathlib import Path

from engram_eval.cli.command import DONE, define
from engram_eval.cli.terminal import say
from engram_eval.errors import UserError


def add(parser: argparse.ArgumentParser) -> None:
    define(
        parser, _baseline,
        """baseline results/locomo-20260101-120000 -o results/baselines/locomo.json
baseline results/mine -o results/baselines/mine.json --with-latency""",
    )  # fmt: skip
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE.json", required=True, help="the file to write")
    parser.add_argument(
        "--with-latency",
        action="store_true",
        help="keep times too, for rules on latency_ratio on the same machine; the file then differs from run to run",
    )
    parser.add_argument("--allow-errors", action="store_true", help="leave out questions that ended in an error")


def _baseline(options: argparse.Namespace) -> int:
    from engram_eval import gate
    from engram_eval.results.folder import RunFolder
    from engram_eval.tables.text import plural

    scores = gate.scores(RunFolder(options.run), controls=False, latency=options.with_latency)
    errors = sum(line is None for lines in scores.lines.values() for line in lines.values())
    if errors and not options.allow_errors:
        raise UserError(
            f"{options.run}: {plural(errors, 'answer')} ended in an error, and a baseline without them would check less; "
            "finish the run with --resume, or leave them out with --allow-errors"
        )
    gate.write(options.out, gate.baseline_json(scores))
    unchecked = f"; {plural(errors, 'answer')} ended in an error and cannot be checked" if errors else ""
    say(f"{options.out}: {plural(len(scores.questions), 'question')} of {', '.join(scores.lines)}{unchecked}")
    return DONE
