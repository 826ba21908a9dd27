"""`compare`: sets the backends of finished runs on one table."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from engram_eval.cli.command import DONE, command
from engram_eval.cli.terminal import print_tables
from engram_eval.errors import UserError


def add(commands: Any) -> None:
    parser = command(
        commands, "compare", _compare, "set the backends of finished runs on one table",
        """compare results/synthetic-20260101-120000
compare results/a results/b --format markdown
compare results/a --against bm25
compare results/a results/b --pairs all --exclude-known-errors label_errors.json
compare results/gpt-4o-mini --published""",
    )  # fmt: skip
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("--format", choices=("table", "markdown", "csv", "json"), default="table", help="(table)")
    parser.add_argument(
        "--pairs",
        choices=("reference", "all"),
        default="reference",
        help="test each memory against the full history (or the best, or the experiment's own reference; a variant against "
        "the backend that it is of), or each against each (reference)",
    )
    parser.add_argument("--against", metavar="NAME", help="test each memory against this one instead")
    parser.add_argument(
        "--allow-different", action="store_true", help="compare unlike runs all the same, and label the tables"
    )
    parser.add_argument(
        "--exclude-known-errors",
        type=Path,
        metavar="FILE.json",
        help="show beside each score the one without questions whose answer key is known to be wrong",
    )
    parser.add_argument("--published", action="store_true", help="set the published figures beside them")


def _compare(options: argparse.Namespace) -> int:
    from engram_eval.results.folder import RunFolder

    if options.against is not None and options.pairs == "all":
        raise UserError("--pairs all tests each against each: leave --against out")
    print_comparison(
        [RunFolder(path) for path in options.runs], options.format, published=options.published,
        allow_different=options.allow_different, all_pairs=options.pairs == "all", against=options.against,
        known_errors=options.exclude_known_errors,
    )  # fmt: skip
    return DONE


def print_comparison(
    folders: list[Any],
    form: str,
    *,
    published: bool = False,
    allow_different: bool = False,
    all_pairs: bool = False,
    against: str | None = None,
    known_errors: Path | None = None,
) -> None:
    from engram_eval.compare.comparison import compare
    from engram_eval.metrics.failure_stage import read_label_errors

    label_errors = read_label_errors(known_errors) if known_errors else None
    result = compare(
        folders, allow_different=allow_different, all_pairs=all_pairs, against=against, label_errors=label_errors
    )
    if published:
        from engram_eval.compare.published import published_tables

        tables, notes = published_tables(result.manifests, result.summaries)
        result = replace(result, tables=[*result.tables, *tables], notes=[*result.notes, *notes])
    if form == "json":
        print(json.dumps(result.to_json(), indent=2, ensure_ascii=False))
    elif form == "csv":
        print(result.to_csv(), end="")
    elif form == "markdown":
        print(result.to_markdown(), end="")
    else:
        print_tables(result.tables, before=result.data_lines, notes=[note.text for note in result.notes])
