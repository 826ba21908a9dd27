"""`report`: makes finished runs one page to look at."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from engram_eval.cli.command import DONE, define


def add(parser: argparse.ArgumentParser) -> None:
    define(
        parser, _report,
        """report results/synthetic-20260101-120000
report results/a results/b -o report.html""",
    )  # fmt: skip
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("report.html"), metavar="FILE", help="written over (report.html)"
    )
    parser.add_argument("--known-errors", type=Path, metavar="FILE.json", help="known errors of the answer key")
    parser.add_argument(
        "--allow-different", action="store_true", help="show unlike runs all the same, and label the tables"
    )


def _report(options: argparse.Namespace) -> int:
    from engram_eval.compare.comparison import compare
    from engram_eval.metrics.failure_stage import failure_stage, read_label_errors
    from engram_eval.report.page import write_report
    from engram_eval.results.folder import RunFolder
    from engram_eval.results.record import Record

    folders = [RunFolder(path) for path in options.runs]
    label_errors = read_label_errors(options.known_errors) if options.known_errors else None
    comparison = compare(folders, allow_different=options.allow_different, label_errors=label_errors)

    def causes(folder: RunFolder) -> dict[tuple[str, str], str]:
        found = ((record.key, failure_stage(record, label_errors)) for record in folder.records())
        return {key: str(cause) for key, cause in found if cause}

    with ExitStack() as stack:
        kept = [stack.enter_context(folder.contexts()) for folder in folders]

        def context(record: Record) -> str | None:
            return next((text for contexts in kept if (text := contexts.get(record.context)) is not None), None)

        size = write_report(folders, comparison, options.out, causes=causes, context=context)
    print(f"{options.out}: {size / 1e6:.1f} MB, opens in any browser and needs no network")
    return DONE
