"""`rejudge`: several judges over the stored answers of a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from engram_eval.cli.command import DONE, SOME_ERRORED, define
from engram_eval.cli.options import add_settings, given
from engram_eval.cli.run import interrupted, print_plan, print_usage
from engram_eval.cli.terminal import print_tables, say
from engram_eval.tables.text import plural

_DETAILS = """No memory and no reader is asked. The run's own judge is compared with the named ones. The folder has a run for
each judge, and flips.jsonl with every answer on which two judges differ. The same calls are never paid for twice."""


def add(parser: argparse.ArgumentParser) -> None:
    define(
        parser, _rejudge,
        """rejudge results/first --judge llm --judge llm:strict --judge offline --model gpt-4o-mini --max-cost 2
rejudge results/first --judge llm@gpt-4o-mini --judge llm@gpt-4o --out results/two-judges
rejudge results/first --judge llm --judge-prompt mem0.toml --judge-prompt judge.txt
rejudge --resume results/two-judges""",
        _DETAILS,
    )  # fmt: skip
    add = parser.add_argument
    add("run", nargs="?", type=Path, metavar="RUN", help="the folder of a run")
    add("--judge", action="append", default=[], dest="judges", metavar="NAME[@MODEL]",
        help="offline, llm, llm:strict, or package.module:Class, with a model of its own; can be repeated")  # fmt: skip
    add("--judge-prompt", action="append", default=[], type=Path, dest="prompt_files", metavar="FILE",
        help="the llm judge with a prompt of your own (docs/prompts.md); can be repeated")  # fmt: skip
    add("-o", "--out", type=Path, metavar="DIR", help="the folder of the verdicts (default: results/rejudged-TIME)")
    add("--resume", type=Path, metavar="DIR", help="finish an interrupted rejudging; errored answers are judged again")
    add_settings(parser, ("judge", "models"), also=("data",), without=("judge", "judge_prompt"))


def _rejudge(options: argparse.Namespace) -> int:
    from engram_eval.compare.judge_tables import make_notes, make_tables
    from engram_eval.run.rejudge import judge_with_prompt, named_judge, prepare_rejudging

    judges = [*map(named_judge, options.judges), *map(judge_with_prompt, options.prompt_files)]
    prepared = prepare_rejudging(options.run, judges, given(options), out=options.out, resume=options.resume)
    print_plan(prepared.why)
    try:
        comparison = prepared.start(show_progress=True, debug=options.debug)
    except KeyboardInterrupt:
        return interrupted("rejudge", prepared.folder)
    print_tables(make_tables(comparison), notes=make_notes(comparison))
    for label, judging in prepared.judges.items():
        print_usage(judging.folder.manifest(), label)
    say(f"Verdicts, one run for each judge, and {plural(len(comparison.flips), 'differing answer')}: {prepared.folder}")
    failed = sum(errors for label, errors in comparison.errors.items() if label in prepared.judges)
    if not failed:
        return DONE
    say(
        f"engram-eval: {plural(failed, 'answer')} could not be judged; fix the cause, then judge them again with: "
        f"engram-eval rejudge --resume {prepared.folder}",
        err=True,
    )
    return SOME_ERRORED
