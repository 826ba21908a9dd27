"""`report`: renders finished runs as one HTML page."""

from __future__ import annotations

import argparse
from pathlib import Path

from engram_eval.cli.command import DONE, define
from engram_eval.cli.terminal import say


def add(parser: argparse.ArgumentParser) -> None:
    define(
        parser, _report,
        """report results/synthetic-20260101-120000
report results/a results/b -o report.html""",
    )  # fmt: skip
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("report.html"), metavar="FILE",
        help="the page; an existing file is replaced (report.html)",
    )  # fmt: skip
    parser.add_argument("--known-errors", type=Path, metavar="FILE.json", help="known errors of the answer key")
    parser.add_argument(
        "--allow-different", action="store_true", help="show runs that are not comparable, and mark every table"
    )


def _report(options: argparse.Namespace) -> int:
    from engram_eval.compare.comparison import compare
    from engram_eval.metrics.failure_stage import read_label_errors
    from engram_eval.report.page import write_report
    from engram_eval.results.folder import RunFolder

    folders = [RunFolder(path) for path in options.runs]
    label_errors = read_label_errors(options.known_errors) if options.known_errors else None
    comparison = compare(folders, allow_different=options.allow_different, label_errors=label_errors)
    size = write_report(folders, comparison, options.out, label_errors=label_errors)
    say(f"{options.out}: {size / 1e6:.1f} MB; it opens in any browser, without a network")
    return DONE
