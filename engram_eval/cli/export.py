"""`export`: the records of runs as one table."""

from __future__ import annotations

import argparse
from pathlib import Path

from engram_eval.cli.command import DONE, define
from engram_eval.cli.terminal import say
from engram_eval.tables.text import plural


def add(parser: argparse.ArgumentParser) -> None:
    define(
        parser, _export,
        """export results/locomo-20260101-120000 -o records.parquet
export results/a results/b -o records.csv""",
    )  # fmt: skip
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="the file, .parquet or .csv")


def _export(options: argparse.Namespace) -> int:
    from engram_eval.metrics.dataframe import export

    say(f"{options.out}: {plural(export(options.runs, options.out), 'record')} written")
    return DONE
