"""`judge`: grades answers that were made elsewhere."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engram_eval.cli.command import DONE, INTERRUPTED, SOME_ERRORED, command
from engram_eval.cli.compare import print_comparison
from engram_eval.cli.options import add_data, add_models, add_probe, given
from engram_eval.errors import UserError
from engram_eval.run.lifecycle import print_usage, run_to_completion
from engram_eval.tables.text import plural

if TYPE_CHECKING:
    from engram_eval.results.folder import RunFolder
    from engram_eval.run.grading import Grading

_LINE = """a line of ANSWERS.jsonl is a JSON object with question_id and hypothesis (LongMemEval's official form) or answer;
LoCoMo's questions are called conv-26:q0, by conversation and place in its qa. If they are known, it may have context
(the text that the answer was made from), prompt_tokens, completion_tokens, cost_usd, retrieval_s and answer_s"""


def add(commands: Any) -> None:
    parser = command(
        commands, "judge", _judge, "grade answers that were made elsewhere, as a run like any other",
        """judge answers.jsonl --dataset locomo
judge hypotheses.jsonl --data longmemeval_s_cleaned.json --judge llm --model gpt-4o-mini --max-cost 5
judge answers.jsonl --data locomo10.json --categories 1,2,3,4 --name my-memory --out results/my-memory
judge --resume results/my-memory""",
    )  # fmt: skip
    parser.description = f"{parser.description}\n\n{_LINE}"
    add = parser.add_argument
    add("answers", nargs="?", type=Path, metavar="ANSWERS.jsonl", help="the answers, one JSON object a line")
    add_data(parser)
    add("--name", metavar="LABEL", help="what the answers are called in the tables (the file's name)")
    add("--seed", type=int, metavar="S", help="of the bootstrap (0)")
    add("--out", type=Path, metavar="DIR", help="the run's folder (results/DATASET-TIME)")
    add("--resume", type=Path, metavar="RUN", help="finish an interrupted grading; what errored is judged again")
    add_probe(parser)
    add_models(parser, ("judge",))


def _judge(options: argparse.Namespace) -> int:
    from engram_eval.results.folder import RunFolder, default_folder
    from engram_eval.results.manifest import Manifest
    from engram_eval.results.provenance import provenance
    from engram_eval.run import resume as manifests
    from engram_eval.run.answer_file import read_answers
    from engram_eval.run.grading import describe, grade, make_grading

    if options.resume:
        folder = RunFolder(options.resume)
        grading = _resumed(options, folder)
    else:
        if not options.answers:
            raise UserError("judge: names no file of answers; as in: engram-eval judge answers.jsonl --dataset locomo")
        if not options.dataset and not options.data:
            raise UserError("judge: name what was answered with --dataset, such as locomo, or its file with --data")
        label = options.name or options.answers.stem
        settings = manifests.new_settings(None, {"backends": [label], "controls": False, **_given(options)})
        grading = make_grading(settings, read_answers(options.answers), label)
        folder = RunFolder(options.out or default_folder(grading.dataset.benchmark.name))
        folder.create(Manifest.of(describe(grading), **provenance()))
    for name, text in {**grading.why, "run": str(folder.path)}.items():
        print(f"{name:9} {text}", file=sys.stderr)
    work = grade(grading, folder, debug=options.debug)
    summary = run_to_completion(work, folder, grading.roles, command="judge")
    if summary is None:
        return INTERRUPTED
    print_comparison([folder], "table")
    print_usage(folder)
    return _tell_errors(grading, folder, summary.backends[grading.label].errors)


def _resumed(options: argparse.Namespace, folder: RunFolder) -> Grading:
    from engram_eval.run import resume as manifests
    from engram_eval.run.answer_file import read_answers
    from engram_eval.run.grading import describe, make_grading

    if options.out:
        raise UserError("--resume goes on in the folder in which it was begun: leave --out out")
    stored = folder.manifest()
    if not stored.has_recorded_answers:
        raise UserError(
            f"{folder.path}: holds no graded answers but a run of memories; "
            f"finish it with 'engram-eval run --resume {folder.path}'"
        )
    settings = manifests.resumed_settings(stored, options.resume, _given(options))
    answers = read_answers(options.answers or Path(stored.reader.origin or ""))
    grading = make_grading(settings, answers, options.name or next(iter(stored.backends)), spent_usd=folder.spent_usd())
    manifests.refuse_other_run(stored, describe(grading), options.resume)
    return grading


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """As of a run. Nobody but the judge is asked: where its model is named, no endpoint need be asked for another."""
    found = {**given(options), "reader": "offline"}
    model = found.get("model") or found.get("judge_model")
    return {**found, **({"model": model} if model else {})}


def _tell_errors(grading: Grading, folder: RunFolder, errors: int) -> int:
    """The exit code, and on stderr which questions are not scored and what can be done about it."""
    if not errors:
        return DONE
    missing = len(grading.missing)
    if missing:
        print(
            f"engram-eval: no answer to {plural(missing, 'question')} in {grading.answers.path}, the first "
            f"{grading.missing[0]}: errors, not wrong answers; grade the file anew when it has them all",
            file=sys.stderr,
        )
    if errors > missing:
        first = next(r for r in folder.records() if r.status == "error" and r.answer is not None)
        print(
            f"engram-eval: {plural(errors - missing, 'answer')} could not be judged, the first ({first.question_id}): "
            f"{first.error}; mend it, then ask again with: engram-eval judge --resume {folder.path}",
            file=sys.stderr,
        )
    return SOME_ERRORED
