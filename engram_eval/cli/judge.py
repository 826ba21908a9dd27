"""`judge`: grades answers that were made elsewhere."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engram_eval.cli.command import DONE, SOME_ERRORED, define
from engram_eval.cli.options import add_settings, given
from engram_eval.cli.run import interrupted, print_plan, print_result
from engram_eval.cli.terminal import say
from engram_eval.tables.text import plural

if TYPE_CHECKING:
    from engram_eval.run.finished import Run

_LINE = """Each line of ANSWERS.jsonl is a JSON object with question_id and hypothesis (LongMemEval's official form) or answer;
response, prediction and generated_answer are read as hypothesis is. Where answer is beside one of these, it is the gold copied
from the dataset, and is not graded. A null answer is an error: leave out the line of a question without an answer.
The ids of LoCoMo questions are conversation and index in its qa list, such as conv-26:q0. Optional fields: context
(the text that the answer was made from), prompt_tokens, completion_tokens, cost_usd, retrieval_s and answer_s."""


def add(parser: argparse.ArgumentParser) -> None:
    define(
        parser, _judge,
        """judge answers.jsonl --dataset locomo
judge hypotheses.jsonl --data longmemeval_s_cleaned.json --judge llm --model gpt-4o-mini --max-cost 5
judge answers.jsonl --data locomo10.json --categories 1,2,3,4 --name my-memory --out results/my-memory
judge --resume results/my-memory""",
        _LINE,
    )  # fmt: skip
    add = parser.add_argument
    add("answers", nargs="?", type=Path, metavar="ANSWERS.jsonl", help="the answers, one JSON object per line")
    add("--name", metavar="LABEL", help="the answers' name in the tables (default: the file's name)")
    add("--out", type=Path, metavar="DIR", help="the run's folder (default: results/DATASET-TIME)")
    add("--resume", type=Path, metavar="RUN", help="finish an interrupted grading; errored answers are judged again")
    add_settings(parser, ("data", "judge", "models"), also=("seed",))


def _judge(options: argparse.Namespace) -> int:
    from engram_eval.run.finished import Run
    from engram_eval.run.prepare import prepare_grading

    prepared = prepare_grading(
        options.answers, given(options), name=options.name, out=options.out, resume=options.resume
    )
    print_plan({**prepared.plan.why, "run": str(prepared.folder.path)})
    try:
        prepared.start(show_progress=True, debug=options.debug)
    except KeyboardInterrupt:
        return interrupted("judge", prepared.folder.path)
    run = Run(prepared.folder.path)
    comparison = print_result(run)
    return _report_errors(run, prepared.plan.missing) if comparison.errors else DONE


def _report_errors(run: Run, missing: Sequence[str]) -> int:
    """Prints which questions have no score, and how to get one; returns the exit code."""
    if missing:
        say(
            f"engram-eval: no answer to {plural(len(missing), 'question')}, the first {missing[0]}: they count as errors, not "
            "as wrong answers; grade the answers again when they are complete",
            err=True,
        )
    if failed := [record for record in run.errors if record.answer is not None]:
        say(
            f"engram-eval: {plural(len(failed), 'answer')} could not be judged, the first ({failed[0].question_id}): "
            f"{failed[0].error}; fix the cause, then judge again with: engram-eval judge --resume {run.folder}",
            err=True,
        )
    return SOME_ERRORED
