"""`datasets`: list them, check a file, convert it to dialogues, generate synthetic dialogues."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engram_eval.cli.command import BAD_INPUT, DONE, GATE_FAILED, add_action, define, positive
from engram_eval.cli.terminal import say
from engram_eval.errors import UserError
from engram_eval.run.settings import Settings, from_mapping, parse_options
from engram_eval.tables.text import plural

if TYPE_CHECKING:
    from engram_eval.datasets.benchmark import Generator
    from engram_eval.datasets.contents import Contents

_MOST_FAULTS = 50

_FORMAT = """the dialogues format, for your own data, has one conversation per line (JSON Lines); keys with "?" may be absent:
  {"id", "sessions": [{"id"?, "date"?, "turns": [{"id"?, "speaker", "text"}]}],
   "questions": [{"id"?, "question", "answer", "category"?, "evidence"?: [turn ids], "evidence_sessions"?: [session ids],
                  "date"?, "unanswerable"?}]}
a date is 2023-05-08 or 2023-05-08T13:56; docs/datasets.md explains each key and its default"""


def add(parser: argparse.ArgumentParser) -> None:
    define(
        parser, _list,
        """datasets list
datasets check locomo10.json
datasets convert locomo10.json --out locomo.jsonl
datasets generate --style longmemeval --conversations 500 --seed 7 --out histories.json""",
    )  # fmt: skip
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    add_action(actions, "list", _list, "list the datasets", "datasets list")

    check = add_action(
        actions, "check", _check, "report what a file holds and what is wrong with it",
        """datasets check locomo10.json
datasets check my.jsonl
datasets check --dataset synthetic --set dataset.conversations=3""",
    )  # fmt: skip
    check.description = (
        f"{check.description} Exit 1: the file claims to be a published one and its counts differ. Exit 2: it is broken.\n\n"
        f"{_FORMAT}"
    )
    _add_data(check)
    check.add_argument("--examples", type=positive, default=3, metavar="N", help="places listed per oddity (3)")

    convert = add_action(
        actions, "convert", _convert, "write a dataset in the dialogues format",
        """datasets convert locomo10.json --out locomo.jsonl
datasets convert longmemeval_s_cleaned.json --out histories.jsonl""",
    )  # fmt: skip
    convert.description = f"{convert.description}\n\n{_FORMAT}"
    _add_data(convert)
    convert.add_argument("-o", "--out", type=Path, metavar="FILE.jsonl", help="the file to write")

    generate = add_action(
        actions, "generate", _generate, "write synthetic dialogues in a benchmark's official format",
        """datasets generate --style locomo --conversations 10 --out dialogues.json
datasets generate --style longmemeval --conversations 500 --seed 7 --out histories.json""",
    )  # fmt: skip
    add = generate.add_argument
    add("--style", default="locomo", metavar="NAME", help="the format: locomo or longmemeval (locomo)")
    add("--conversations", type=positive, metavar="N", help="number of conversations (10; longmemeval 60)")
    add("--seed", type=int, default=0, metavar="S", help="the random seed (0)")
    add("-o", "--out", type=Path, metavar="FILE", help="the file to write")


def _add_data(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", nargs="?", metavar="FILE", help="the dataset's file (the same as --data FILE)")
    add("--data", metavar="FILE", help="the dataset's file (also: a file or folder in ENGRAM_EVAL_DATA)")
    add("--dataset", default="auto", metavar="NAME", help="what the file holds (recognised by its content)")
    add("--set", action="append", metavar="dataset.KEY=VALUE", help="a setting of a dataset that is generated")


def _settings(options: argparse.Namespace) -> Settings:
    if options.file and options.data:
        raise UserError(f"two files are named, {options.file} and --data {options.data}; leave one out")
    values = {"dataset": options.dataset, "data": options.file or options.data}
    return from_mapping({**values, "options": parse_options(options.set or [])}, "command line")


def _list(_options: argparse.Namespace) -> int:
    from engram_eval import registry
    from engram_eval.datasets import catalogue

    for name in registry.names("datasets"):
        try:
            say(f"{name:22} {catalogue.benchmark(name).summary}")
        except UserError as error:  # one broken package must not hide the others
            say(f"{name:22} not usable: {error}")
    return DONE


# --- check ------------------------------------------------------------------------------------------------------


def _check(options: argparse.Namespace) -> int:
    """Reads every record and prints what the dataset holds and how its oddities are treated."""
    from engram_eval.datasets.contents import read_contents
    from engram_eval.run.questions import open_dataset

    dataset, why = open_dataset(_settings(options))
    contents = read_contents(replace(dataset, skip_bad_records=True))  # so that each faulty record is reported
    if contents.notes.faults:
        return _report_faults(contents.notes.faults)
    say(f"{dataset.benchmark.name}: {why}\nsha256 {dataset.sha256}")
    _print_contents(contents, options.examples)
    for difference in contents.differences:
        say(f"Differs from the published file: {difference}")
    if dataset.published_sha256:
        same = dataset.sha256 == dataset.published_sha256
        say("This is the published file." if same else "This is not the published file: its sha256 is another.")
    return GATE_FAILED if contents.differences else DONE


def _report_faults(faults: Sequence[UserError]) -> int:
    for fault in faults[:_MOST_FAULTS]:
        say(f"engram-eval: {fault!s}", err=True)
    if len(faults) > 1:
        more = f", of which the first {_MOST_FAULTS} are above" if len(faults) > _MOST_FAULTS else ""
        say(
            f"engram-eval: {len(faults):,} records are faulty{more}; correct them and check again, or run without them with "
            "--skip-bad-records",
            err=True,
        )
    return BAD_INPUT


def _print_contents(contents: Contents, examples: int) -> None:
    say(f"{contents.conversations:,} conversations, {contents.sessions:,} sessions, {contents.turns:,} turns")
    say(f"{sum(contents.questions.values()):,} questions, {contents.evidence:,} evidence turns")
    for category, count in contents.questions.items():
        say(f"  {category:26} {count:>6,}")
    notes = contents.notes
    doubtful = {rule: places for rule, places in notes.places.items() if rule in notes.doubtful}
    _print_oddities("Oddities to look at: they cost data, or are probably mistakes of the file:", doubtful, examples)
    others = {rule: places for rule, places in notes.places.items() if rule not in notes.doubtful}
    _print_oddities("Oddities, and how they are treated:", others, examples)


def _print_oddities(heading: str, oddities: Mapping[str, Sequence[str]], examples: int) -> None:
    if oddities:
        say(heading)
    for rule, places in sorted(oddities.items(), key=lambda item: -len(item[1])):
        more = f" and {len(places) - examples:,} more" if len(places) > examples else ""
        say(f"  {len(places):>6,}  {rule}  [{', '.join(places[:examples])}{more}]")


# --- convert and generate ---------------------------------------------------------------------------------------


def _convert(options: argparse.Namespace) -> int:
    from engram_eval.datasets.dialogues.convert import write_dialogues
    from engram_eval.run.questions import named_benchmark, open_dataset

    if options.out is None:
        raise UserError("datasets convert: no output file is given; name one with --out FILE.jsonl")
    settings = _settings(options)
    _, data = named_benchmark(settings)
    dataset, _ = open_dataset(settings)
    count = write_dialogues(dataset.samples(), options.out, source=data)
    say(f"{options.out}: {plural(count, 'conversation')} written; run it with: engram-eval run --data {options.out}")
    return DONE


def _generate(options: argparse.Namespace) -> int:
    """Writes synthetic dialogues in a benchmark's official file format."""
    from engram_eval.datasets.synthetic import write_json_array

    out: Path | None = options.out
    if out is None:
        raise UserError("datasets generate: no output file is given; name one with --out FILE")
    generator = _generator(options.style)
    try:
        write_json_array(generator.records(options.conversations or generator.conversations, options.seed), out)
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); name another file with --out") from None
    say(f"{out}: written; run it with: engram-eval run --data {out}")
    return DONE


def _generator(style: str) -> Generator:
    from engram_eval import registry
    from engram_eval.datasets import catalogue

    styles = []
    for name in registry.names("datasets"):
        generator = catalogue.benchmark(name).generator
        if generator and generator.style == style:
            return generator
        styles += [generator.style] if generator else []
    raise UserError(f"--style {style}: there is no such style; name one of {', '.join(styles)}")
