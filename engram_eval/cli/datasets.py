"""`datasets`: lists them, checks a file, writes synthetic dialogues."""

from __future__ import annotations

import argparse
from pathlib import Path

from engram_eval.cli.command import DONE, GATE_FAILED, define, positive
from engram_eval.run.settings import from_mapping, parse_options


def add(parser: argparse.ArgumentParser) -> None:
    define(
        parser, _datasets,
        """datasets list
datasets check --data locomo10.json
datasets generate --style locomo --conversations 10 --out dialogues.json
datasets generate --style longmemeval --conversations 500 --seed 7 --out histories.json""",
    )  # fmt: skip
    parser.add_argument("action", choices=("list", "check", "generate"))
    parser.add_argument("--dataset", default="auto", metavar="NAME", help="check: the dataset (what --data holds)")
    parser.add_argument("--data", metavar="FILE", help="check: the dataset's file")
    parser.add_argument("--set", action="append", metavar="dataset.KEY=VALUE", help="check: a setting of the dataset")
    parser.add_argument("--examples", type=positive, default=3, metavar="N", help="check: places named per oddity (3)")
    parser.add_argument("--style", choices=("locomo", "longmemeval"), default="locomo", help="generate: (locomo)")
    parser.add_argument("--conversations", type=positive, metavar="N", help="generate: (10; longmemeval 60)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="generate: (0)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="generate: the file to write, in the official format")


def _datasets(options: argparse.Namespace) -> int:
    from engram_eval.cli import inspection

    if options.action == "list":
        inspection.list_datasets()
        return DONE
    if options.action == "check":
        settings = from_mapping(
            {"dataset": options.dataset, "data": options.data, "options": parse_options(options.set or [])},
            "command line",
        )
        return DONE if inspection.check_dataset(settings, examples=options.examples) else GATE_FAILED
    inspection.generate(options.style, options.out, options.seed, options.conversations)
    return DONE
