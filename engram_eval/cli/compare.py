"""`compare`: compares the backends of finished runs in one table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from engram_eval.cli.command import DONE, define
from engram_eval.cli.terminal import print_tables

if TYPE_CHECKING:
    from engram_eval.compare.comparison import Comparison


def add(parser: argparse.ArgumentParser) -> None:
    define(
        parser, _compare,
        """compare results/synthetic-20260101-120000
compare results/a results/b --format markdown
compare results/a --against bm25
compare results/a results/b --pairs all --exclude-known-errors label_errors.json
compare results/gpt-4o-mini --published""",
    )  # fmt: skip
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder")
    add("--format", choices=("table", "markdown", "csv", "json"), default="table", help="(default: table)")
    add("--pairs", choices=("reference", "all"), default="reference",
        help="test each memory against the reference (the full history, the best, or the experiment's own; a variant against "
        "its unaltered backend), or every memory against every other (default: reference)")  # fmt: skip
    add("--against", metavar="NAME", help="test each memory against this one instead")
    add("--allow-different", action="store_true", help="compare runs of different experiments, and label the tables")
    add("--exclude-known-errors", type=Path, metavar="FILE.json",
        help="add the score without questions whose answer key is known to be wrong")  # fmt: skip
    add("--published", action="store_true", help="add the published figures")


def _compare(options: argparse.Namespace) -> int:
    from engram_eval.compare.runs import compare

    comparison = compare(
        *options.runs,
        published=options.published,
        allow_different=options.allow_different,
        all_pairs=options.pairs == "all",
        against=options.against,
        known_errors=options.exclude_known_errors,
    )
    print_comparison(comparison, options.format)
    return DONE


def print_comparison(comparison: Comparison, form: str = "table") -> None:
    if form == "json":
        print(json.dumps(comparison.to_json(), indent=2, ensure_ascii=False))
    elif form == "csv":
        print(comparison.to_csv(), end="")
    elif form == "markdown":
        print(comparison.to_markdown(), end="")
    else:
        notes = [note.text for note in comparison.notes]
        print_tables(comparison.tables, before=comparison.data_lines, notes=notes)
